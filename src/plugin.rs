//! Beside Core Lightning: register, wire, subscribe, disable with one reason.
