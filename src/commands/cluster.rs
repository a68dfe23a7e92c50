//! Flags of a cluster, shared by every command that runs the engine.

use crate::failure::{Failure, Kind, OrFail};
use crate::run::{cluster, usage::thread_cpu};
use dataflows::flow::{Crew, attend};
use std::path::PathBuf;

/// Which process of which cluster this is, if it is one of several.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Several processes")]
pub struct ClusterArgs {
    /// Share the work with other processes, one for each line of this file: host:port, the same file
    /// for all of them. The first one is the engine; the others keep markets for it
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
    /// Which line of the file this process is, from 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "hosts")]
    pub process: u16,
}

impl ClusterArgs {
    /// Joins the cluster if there is one: whom the engine works with. None in a process that was not
    /// the engine's, when the engine has ended.
    ///
    /// # Errors
    /// The file cannot be used, or the other processes do not come.
    pub fn crew(&self, workers: usize) -> Result<Option<Crew>, Failure> {
        let Some(path) = &self.hosts else { return Ok(Some(Crew::Threads(workers))) };
        let process = self.process as usize;
        let hosts = cluster::hosts(path, process)?;
        let joined = cluster::join(&hosts, process, workers)?;
        let count = hosts.len();
        eprintln!("cluster    process {process} of {count}, {workers} workers each, is connected");
        if process == 0 {
            return Ok(Some(Crew::Cluster(joined)));
        }
        let attended = attend(joined, thread_cpu).map_err(|error| anyhow::anyhow!(error));
        attended.or_fail(Kind::Unreachable, || "the workers of this process".into())?;
        eprintln!("cluster    the engine has ended");
        Ok(None)
    }
}
