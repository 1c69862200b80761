#!/usr/bin/env bash
# All that must hold before a change lands, in the order that fails fastest. Makes its own Python environment.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --locked --all-targets -- -D warnings

step "tests"
cargo test --locked

step "the plugin from outside"
cargo build --locked --release
python=.venv/bin/python
# Without python3-venv, Debian's Python leaves an environment that has no pip.
if ! "$python" -m pip --version >/dev/null 2>&1; then
    rm -rf .venv
    python3 -m venv .venv
fi
packages=(-r plugin-tests/requirements.txt)
if command -v lightningd >/dev/null; then
    packages+=(pyln-testing)
fi
"$python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
"$python" -m pytest plugin-tests -q "$@"
