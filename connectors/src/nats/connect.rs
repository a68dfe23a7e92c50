//! One connection to NATS, and what it says about its own health.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, Context, ErrorCode, context::GetStreamErrorKind};
use async_nats::{Client, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerError};

use super::NatsError;

/// The longest wait between two attempts to reconnect.
pub const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The wait before the first attempt to reconnect; it doubles with each.
const FIRST_RECONNECT_DELAY: Duration = Duration::from_millis(10);

/// How long one request to the broker may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How a client shows who it is.
#[derive(Clone, Default)]
pub enum Login {
    /// Not at all, or by the URL or a client certificate.
    #[default]
    None,
    /// By name and password.
    User(String, String),
    /// By a token.
    Token(String),
    /// By an nkey's seed.
    Nkey(String),
    /// By a file of credentials (JWT and seed).
    Credentials(PathBuf),
}

/// Where and how to connect.
#[derive(Clone)]
pub struct ConnectSettings {
    /// `nats://host:port`, or several with commas between them.
    pub url: String,
    /// Who connects.
    pub login: Login,
    /// Roots to trust instead of the system's: a PEM file.
    pub tls_ca: Option<PathBuf>,
    /// A client certificate and its key: PEM files.
    pub tls_client: Option<(PathBuf, PathBuf)>,
    /// Refuses a server without TLS.
    pub tls_required: bool,
    /// The name that the broker shows for this connection.
    pub name: String,
}

impl ConnectSettings {
    /// Connects to `url` without any login or certificate.
    pub fn new(url: impl Into<String>) -> ConnectSettings {
        ConnectSettings {
            url: url.into(),
            login: Login::None,
            tls_ca: None,
            tls_client: None,
            tls_required: false,
            name: "iceshop".into(),
        }
    }
}

/// A connection; clones share it.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    jetstream: Context,
    url: String,
    denied: Arc<Mutex<Option<String>>>,
}

/// Connects, or says why not; later interruptions are mended in the background.
///
/// # Errors
/// [`NatsError::Unreachable`], [`NatsError::Denied`] or [`NatsError::Credentials`].
pub async fn connect(settings: &ConnectSettings) -> Result<Connection, NatsError> {
    let denied = Arc::new(Mutex::new(None));
    let options = options(settings, denied.clone()).await?;
    let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
    let client = options.connect(servers).await.map_err(|error| match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            NatsError::Denied { what: error.to_string() }
        }
        _ => NatsError::Unreachable { url: settings.url.clone(), reason: error.to_string() },
    })?;
    let mut jetstream = jetstream::new(client.clone());
    jetstream.set_timeout(REQUEST_TIMEOUT);
    Ok(Connection { client, jetstream, url: settings.url.clone(), denied })
}

/// The client library's options.
async fn options(
    settings: &ConnectSettings,
    denied: Arc<Mutex<Option<String>>>,
) -> Result<ConnectOptions, NatsError> {
    let options = match &settings.login {
        Login::None => ConnectOptions::new(),
        Login::User(name, password) => {
            ConnectOptions::with_user_and_password(name.clone(), password.clone())
        }
        Login::Token(token) => ConnectOptions::with_token(token.clone()),
        Login::Nkey(seed) => ConnectOptions::with_nkey(seed.clone()),
        Login::Credentials(path) => {
            ConnectOptions::with_credentials_file(path).await.map_err(|source| {
                NatsError::Credentials { path: path.display().to_string(), source }
            })?
        }
    };
    let mut options = options
        .name(&settings.name)
        .require_tls(settings.tls_required)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            note(&event, &denied);
            async {}
        });
    if let Some(path) = &settings.tls_ca {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &settings.tls_client {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// The wait before the given attempt: doubling, capped at [`MAX_RECONNECT_DELAY`].
fn reconnect_delay(attempt: usize) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16) as u32;
    MAX_RECONNECT_DELAY.min(FIRST_RECONNECT_DELAY * 2u32.pow(doublings))
}

/// Logs what happened to the connection, and keeps what the server denies.
fn note(event: &Event, denied: &Mutex<Option<String>>) {
    match event {
        Event::Connected => tracing::info!("connected to nats"),
        Event::Closed => tracing::info!("closed the connection to nats"),
        Event::Disconnected => tracing::warn!("disconnected from nats"),
        Event::ServerError(ServerError::AuthorizationViolation) => {
            keep(denied, "authorization violation".into());
        }
        Event::ServerError(ServerError::Other(what))
            if what.to_ascii_lowercase().contains("permissions violation") =>
        {
            keep(denied, what.clone());
        }
        // What the server says to somebody who comes again shows as the client's own error.
        Event::ClientError(ClientError::Other(what))
            if what.to_ascii_lowercase().contains("authorization violation") =>
        {
            keep(denied, what.clone());
        }
        other => tracing::warn!(event = %other, "nats"),
    }
}

/// Keeps the last denial.
fn keep(denied: &Mutex<Option<String>>, what: String) {
    tracing::error!(what, "nats denies");
    *denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

impl Connection {
    /// Whether the connection stands, and nothing that this client tried was denied.
    ///
    /// # Errors
    /// [`NatsError::Denied`] with the last denial, for as long as the process lives;
    /// [`NatsError::Unreachable`] while there is no connection.
    pub fn readiness(&self) -> Result<(), NatsError> {
        if let Some(what) = self.denial() {
            return Err(NatsError::Denied { what });
        }
        if self.client.connection_state() != State::Connected {
            let reason = "connection lost".into();
            return Err(NatsError::Unreachable { url: self.url.clone(), reason });
        }
        Ok(())
    }

    /// The client, for whatever else a program does with NATS.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client's JetStream side.
    pub fn jetstream(&self) -> &Context {
        &self.jetstream
    }

    /// The last thing that the server denied.
    pub(super) fn denial(&self) -> Option<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many times the connection was made; it rises with every reconnect.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// A stream's present state and configuration.
    pub(super) async fn stream_info(&self, stream: &str) -> Result<Info, NatsError> {
        match self.jetstream.get_stream(stream).await {
            Ok(found) => Ok(found.cached_info().clone()),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause)
                    if cause.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Err(NatsError::NoStream { stream: stream.to_owned() })
                }
                _ => Err(self.request_failed("get its state", stream, &error)),
            },
        }
    }

    /// The error of a broker that does not answer.
    pub(super) fn away(&self, error: &dyn std::error::Error) -> NatsError {
        NatsError::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    /// The error of a request; a denial counts for more than the timeout that it shows as.
    pub(super) fn request_failed(
        &self,
        what: &'static str,
        stream: &str,
        error: &dyn std::error::Error,
    ) -> NatsError {
        match self.denial() {
            Some(what) => NatsError::Denied { what },
            None => {
                NatsError::Request { what, stream: stream.to_owned(), reason: error.to_string() }
            }
        }
    }
}
