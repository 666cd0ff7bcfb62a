//! Files of ours in programs that deploy: the real Helm, and Flux's real controller on a real API server.

mod flux;
mod helm;
