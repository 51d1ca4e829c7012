// SPDX-License-Identifier: MIT OR GPL-2.0

//! Module in Rust, for kernels that are built with it.

use kernel::prelude::*;

module! {
    type: Rusty,
    name: "rusty",
    license: "GPL",
}

struct Rusty;

impl kernel::Module for Rusty {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Rusty)
    }
}
