//! Whole pipelines in virtual time.

// The modules are marked as tests so that their helpers may unwrap.
#[cfg(test)]
mod run;
#[cfg(test)]
mod service;
#[cfg(test)]
mod wav;
