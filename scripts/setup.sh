#!/bin/sh
# Makes the virtual environment: `scripts/setup.sh [DIRECTORY]`.
#
# Everything but torch comes from requirements.lock, by hash. torch comes last and by pip, exactly
# as constraints/torch.txt says: any looser requirement, or another installer, may bring gigabytes
# of accelerator libraries. A stamp holds the digest of what was installed, so that a second call
# returns at once and needs no network.
set -eu

venv=${1:-.venv}
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $1" >&2
    echo "help: $2" >&2
    exit 1
}

usable() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer was not found (python3 is $(python3 -V 2>/dev/null || echo missing))" \
        "install one (Debian, Ubuntu: apt install python3 python3-venv), or say which: make setup PYTHON=/path/to/python3.12"
}

make_venv() {
    python=$(find_python)
    echo "setup: $venv with $("$python" -V)"
    # A directory left by a failed try has no pip; --clear starts afresh.
    if "$python" -m venv --clear "$venv" >"${TMPDIR:-/tmp}/inferd-venv.$$" 2>&1; then
        rm -f "${TMPDIR:-/tmp}/inferd-venv.$$"
        return
    fi
    rm -f "${TMPDIR:-/tmp}/inferd-venv.$$"
    # Debian ships ensurepip apart; another pip on the machine can stand in for it.
    if "$python" -m venv --clear --without-pip "$venv" 2>/dev/null &&
        "$python" -m pip --python "$venv/bin/python" install --quiet pip 2>/dev/null; then
        return
    fi
    rm -rf "$venv"
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    fail "$python cannot make virtual environments" \
        "Debian, Ubuntu: apt install $version (or python3-venv), then run this again"
}

digest() {
    cat requirements.lock constraints/torch.txt pyproject.toml scripts/setup.sh |
        "$venv/bin/python" -c 'import hashlib, sys
print(sys.version.split()[0], hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.prefix)'
}

"$venv/bin/python" -c 'import pip' >/dev/null 2>&1 && usable "$venv/bin/python" || make_venv

stamp="$venv/.inferd-setup"
wanted=$(digest)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    exit 0
fi
rm -f "$stamp"
pip="$venv/bin/python -m pip --disable-pip-version-check install --quiet --no-input"
echo "setup: installing the locked requirements"
$pip --require-hashes -r requirements.lock
echo "setup: installing $(cat constraints/torch.txt) (large; a few minutes)"
$pip "$(cat constraints/torch.txt)"
$pip --no-deps --no-build-isolation -e .
echo "$wanted" >"$stamp"
echo "setup: ready"
