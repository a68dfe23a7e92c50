//! `iceshop nats`: a city's streams; and the flags by which every command reaches NATS.

use crate::failure::{Failure, Kind, OrFail};
use connectors::nats::{ConnectSettings, Connection, Login, Row, StreamSettings};
use connectors::subject::{City, Subjects};
use std::path::PathBuf;
use std::time::Duration;

/// Where NATS is, which city, and who connects.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// The server: nats://host:port, several with commas between them
    #[arg(long, env = "ICESHOP_NATS", value_name = "URL")]
    pub nats: Option<String>,
    /// The city: 1-32 of [a-z0-9-]; it names streams and subjects
    #[arg(long = "city", env = "ICESHOP_CITY", value_name = "CITY")]
    pub city_name: Option<String>,
    /// User name
    #[arg(long, env = "ICESHOP_NATS_USER", value_name = "NAME", requires = "nats_password")]
    pub nats_user: Option<String>,
    /// Password
    #[arg(long, env = "ICESHOP_NATS_PASSWORD", value_name = "TEXT", hide_env_values = true)]
    pub nats_password: Option<String>,
    /// Token
    #[arg(long, env = "ICESHOP_NATS_TOKEN", value_name = "TEXT", hide_env_values = true)]
    pub nats_token: Option<String>,
    /// Seed of an nkey
    #[arg(long, env = "ICESHOP_NATS_NKEY", value_name = "SEED", hide_env_values = true)]
    pub nats_nkey: Option<String>,
    /// Credentials file (JWT and seed)
    #[arg(long, env = "ICESHOP_NATS_CREDS", value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,
    /// Roots to trust, a PEM file
    #[arg(long, env = "ICESHOP_NATS_TLS_CA", value_name = "FILE")]
    pub nats_tls_ca: Option<PathBuf>,
    /// Client certificate, a PEM file
    #[arg(long, env = "ICESHOP_NATS_TLS_CERT", value_name = "FILE", requires = "nats_tls_key")]
    pub nats_tls_cert: Option<PathBuf>,
    /// Its key, a PEM file
    #[arg(long, env = "ICESHOP_NATS_TLS_KEY", value_name = "FILE", requires = "nats_tls_cert")]
    pub nats_tls_key: Option<PathBuf>,
}

impl NatsArgs {
    /// Connects, as `name`; the connection and the city's subjects.
    ///
    /// # Errors
    /// A flag is missing or wrong (usage, configuration), or the server is not reached.
    pub async fn connect(&self, name: &str) -> Result<(Connection, Subjects), Failure> {
        let needed =
            |flag: &str| Failure::new(Kind::Usage, anyhow::anyhow!("{flag}: needed to reach nats"));
        let url = self.nats.as_deref().ok_or_else(|| needed("--nats"))?;
        let city = self.city_name.as_deref().ok_or_else(|| needed("--city"))?;
        let city: City = city.parse().or_fail(Kind::Usage, || "--city".into())?;
        let mut settings = ConnectSettings::new(url);
        settings.name = name.into();
        settings.login = self.login();
        settings.tls_ca = self.nats_tls_ca.clone();
        settings.tls_client = self.nats_tls_cert.clone().zip(self.nats_tls_key.clone());
        let connection = connectors::nats::connect(&settings).await?;
        Ok((connection, Subjects::new(city)))
    }

    fn login(&self) -> Login {
        if let (Some(user), Some(password)) = (&self.nats_user, &self.nats_password) {
            Login::User(user.clone(), password.clone())
        } else if let Some(token) = &self.nats_token {
            Login::Token(token.clone())
        } else if let Some(seed) = &self.nats_nkey {
            Login::Nkey(seed.clone())
        } else if let Some(file) = &self.nats_creds {
            Login::Credentials(file.clone())
        } else {
            Login::None
        }
    }
}

/// Runs the future to its end on a small runtime.
///
/// # Errors
/// Its own, or that the runtime cannot start.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.or_fail(Kind::Config, || "cannot start the runtime".into())?;
    let done = runtime.block_on(future);
    // Whatever is still at it, a snapshot under way for one, ends with the process.
    runtime.shutdown_background();
    done
}

const EXAMPLES: &str = "\
Examples:
  iceshop nats init --nats nats://localhost:4222 --city demo     once for each city
  iceshop nats check --nats nats://localhost:4222 --city demo    are they still as they should be?

A city has four streams: ICESHOP_<CITY>_IN, _OUT, _RECEIPT and _DLQ. Address, city and login can
also stand in the environment (ICESHOP_NATS, ICESHOP_CITY, ...).";

const INIT_EXAMPLES: &str = "\
Examples:
  iceshop nats init --nats nats://localhost:4222 --city demo
  iceshop nats init --nats nats://a:4222,nats://b:4222 --city demo --replicas 3 --out-max-age-h 48

Streams that exist are left as they are; one that is not as asked for is exit code 3.";

const CHECK_EXAMPLES: &str = "\
Examples:
  iceshop nats check --nats nats://localhost:4222 --city demo
  iceshop nats check --nats nats://localhost:4222 --city demo --replicas 3 | grep BAD

Give the flags that `nats init` was given. Nothing is changed; a difference is exit code 3.";

/// What `iceshop nats` is asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with a city's streams.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Make a city's streams, and compare what the server made with what was asked for
    #[command(after_help = INIT_EXAMPLES)]
    Init(StreamArgs),
    /// Compare a city's streams with what they should be, side by side
    #[command(after_help = CHECK_EXAMPLES)]
    Check(StreamArgs),
}

/// How a city's streams should be.
#[derive(Debug, Clone, clap::Args)]
pub struct StreamArgs {
    /// How to connect.
    #[command(flatten)]
    pub connect: NatsArgs,
    /// How long the server knows a message by its id, in seconds
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub duplicate_window_s: u64,
    /// How long records are kept, in hours; absent: for ever
    #[arg(long, value_name = "HOURS",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub in_max_age_h: Option<u64>,
    /// How long decisions are kept, in hours; absent: for ever
    #[arg(long, value_name = "HOURS",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub out_max_age_h: Option<u64>,
    /// Copies of every stream in a cluster: 1, 3 or 5
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub replicas: usize,
}

/// Makes or compares the streams; what differs is a failure of the configuration.
///
/// # Errors
/// NATS is not reached, or a stream is not as it should be.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (Action::Init(stream) | Action::Check(stream)) = &args.action;
    let hours = |hours: Option<u64>| hours.map(|hours| Duration::from_secs(hours * 3_600));
    let settings = StreamSettings {
        duplicate_window: Duration::from_secs(stream.duplicate_window_s),
        in_max_age: hours(stream.in_max_age_h),
        out_max_age: hours(stream.out_max_age_h),
        replicas: stream.replicas,
        ..StreamSettings::default()
    };
    let rows = block_on(async {
        let (connection, subjects) = stream.connect.connect("iceshop nats").await?;
        Ok(match &args.action {
            Action::Init(_) => connectors::nats::init(&connection, &subjects, &settings).await?,
            Action::Check(_) => connectors::nats::check(&connection, &subjects, &settings).await?,
        })
    })?;
    eprintln!("    {:<24} {:<20} {:<28} actual", "stream", "field", "expected");
    for Row { stream, field, expected, actual, good, .. } in &rows {
        let mark = if *good { "ok " } else { "BAD" };
        super::say(&format!("{mark} {stream:<24} {field:<20} {expected:<28} {actual}"))?;
    }
    let bad: Vec<String> = rows.iter().filter(|row| !row.good).map(Row::to_string).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Kind::Config, anyhow::anyhow!(bad.join("; "))))
}
