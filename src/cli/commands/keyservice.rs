use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::args::IdentityArgs;
use crate::cli::context::{Context, block_on};
use crate::error::{Error, Kind, Result};
use crate::fs;
use crate::host::Host;
use crate::keys::StartedBy;
use crate::keys::remote::{Listening, serve};
use crate::os;

/// Serve this machine's keys to others, as sops does
///
/// Others name it with `sops --keyservice ADDRESS`, or in SOPS_KEYSERVICE. There is no password, and the connection
/// is not encrypted: anybody who can connect can decrypt. So listen on a socket, or only on this machine and have
/// others connect through SSH.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  sealant keyservice --network unix --address /run/user/1000/keys.sock
  ssh -R /tmp/keys.sock:/run/user/1000/keys.sock server
  SOPS_KEYSERVICE=unix:///tmp/keys.sock sealant decrypt secrets.yaml    # there")]
pub struct Args {
    /// What to listen on: tcp or unix
    #[arg(long, alias = "net", value_name = "NETWORK", default_value = "tcp")]
    pub network: String,

    /// Where to listen: HOST:PORT, or the path of a socket
    #[arg(long, alias = "addr", value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub address: String,

    /// Ask before carrying out each request
    #[arg(long)]
    pub prompt: bool,

    #[command(flatten)]
    pub identities: IdentityArgs,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode> {
    // Nobody but the user says which servers get a token: not who connects.
    let started_by = if context.is_sops() { StartedBy::Sops } else { StartedBy::Program };
    let service = args.identities.key_service_of(context.host, started_by)?;
    let (network, address) = (args.network.as_str(), args.address.as_str());
    let cannot = |error: std::io::Error| {
        Error::new(Kind::Other, format!("cannot listen on {network}://{address}")).caused_by(error)
    };
    let (listening, socket) = match network {
        "tcp" => (Listening::Tcp(TcpListener::bind(address).map_err(cannot)?), None),
        "unix" => {
            let listener = os::listen_privately(Path::new(address)).map_err(cannot)?;
            (Listening::Unix(listener), Some(PathBuf::from(address)))
        }
        _ => {
            return Err(Error::new(
                Kind::Other,
                format!("`{network}` is not a network: --network takes tcp or unix"),
            ));
        }
    };
    if let Listening::Tcp(listener) = &listening
        && !listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
    {
        context.ui.warning("anybody who can connect can decrypt, and the connection is not encrypted");
    }
    context.ui.say(format!("listening on {network}://{address}"));
    let _ended = fs::divert_signals(move |_| end(socket.as_deref()));
    block_on(serve(&service, listening, |key, what| match args.prompt {
        true => context.host.confirm(&format!("Received a request to {what} with {key}. Do it?")),
        false => Ok(true),
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the program as it is told to.
fn end(socket: Option<&Path>) {
    socket.map(fs::remove);
    fs::wipe_all();
    std::process::exit(0)
}
