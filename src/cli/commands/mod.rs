//! The commands, one file each: arguments, which are its help, and `run`.
//!
//! What two of them share is beside this folder. None prints but through [`ui`](crate::cli::ui).

pub(in crate::cli) mod argocd;
pub(in crate::cli) mod audit;
pub(in crate::cli) mod blast_radius;
pub(in crate::cli) mod check;
pub(in crate::cli) mod completion;
pub(in crate::cli) mod decrypt;
pub(in crate::cli) mod demo;
pub(in crate::cli) mod diff;
pub(in crate::cli) mod doctor;
pub(in crate::cli) mod edit;
pub(in crate::cli) mod encrypt;
pub(in crate::cli) mod exec_env;
pub(in crate::cli) mod exec_file;
pub(in crate::cli) mod explain;
pub(in crate::cli) mod export;
pub(in crate::cli) mod fetch_recipient;
pub(in crate::cli) mod filestatus;
pub(in crate::cli) mod get;
pub(in crate::cli) mod git;
pub(in crate::cli) mod groups;
pub(in crate::cli) mod help;
pub(in crate::cli) mod hook;
pub(in crate::cli) mod init;
pub(in crate::cli) mod inspect;
pub(in crate::cli) mod keygen;
pub(in crate::cli) mod keyservice;
pub(in crate::cli) mod ksops;
pub(in crate::cli) mod link;
pub(in crate::cli) mod man;
pub(in crate::cli) mod migrate;
pub(in crate::cli) mod publish;
pub(in crate::cli) mod recipient;
pub(in crate::cli) mod resolve;
pub(in crate::cli) mod rewrap;
pub(in crate::cli) mod rotate;
pub(in crate::cli) mod seal;
pub(in crate::cli) mod set;
pub(in crate::cli) mod status;
pub(in crate::cli) mod unseal;
pub(in crate::cli) mod unset;
pub(in crate::cli) mod updatekeys;
pub(in crate::cli) mod vault;
pub(in crate::cli) mod who_can_decrypt;
