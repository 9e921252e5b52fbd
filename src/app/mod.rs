//! One file per command; the only module that prints.
