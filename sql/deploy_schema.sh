#!/bin/sh
# Deploys the schema with psql alone: the same files and the same record as `lockstep migrate`.
#
#   sql/deploy_schema.sh [SCHEMA] [psql options]
#
# SCHEMA is lockstep unless given; it must come first. The connection is psql's: PGHOST, PGPORT,
# PGDATABASE, PGUSER, PGPASSWORD, or options. Running it again changes nothing. It exits with 0 when
# the schema is up to date, 1 when a migration was refused or failed, 2 for wrong usage and 4 when
# the server could not be reached.
set -eu

fail() {
    code=$1
    shift
    printf 'deploy_schema: %s\n' "$*" >&2
    exit "$code"
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -c1-64
}

schema=lockstep
case ${1-} in
-h | --help)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "$0"
    exit 0
    ;;
'' | -*) ;;
*)
    schema=$1
    shift
    ;;
esac
case $schema in
*[!a-z0-9_]* | [0-9]*) fail 2 "schema '$schema' was refused: use lower-case letters, digits and _." ;;
esac
command -v psql >/dev/null || fail 1 "psql was not found: install the PostgreSQL client."

folder=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

{
    # One deployment at a time for each schema; the lock goes with each transaction.
    lock="SELECT pg_advisory_xact_lock(hashtextextended('lockstep migrations of $schema', 0));"
    cat <<SQL
\\set VERBOSITY terse
\\pset format unaligned
\\pset tuples_only on
\\o /dev/null
SET client_min_messages = warning;
SET timezone = 'UTC';
SET search_path = "$schema", public;
BEGIN;
$lock
CREATE SCHEMA IF NOT EXISTS "$schema";
\\i '$folder/setup.sql'
COMMIT;
SET client_min_messages = notice;
SQL
    for file in "$folder"/[0-9][0-9][0-9]_*.sql; do
        name=$(basename "$file" .sql)
        cat <<SQL
BEGIN;
$lock
SELECT migration_due('$name', '$(digest "$file")') AS due \\gset
\\if :due
\\echo applying $name
\\i '$file'
SELECT record_migration('$name', '$(digest "$file")');
\\endif
COMMIT;
SQL
    done
    echo "\\o"
    echo "SELECT 'schema $schema is up to date: ' || count(*) || ' migrations, ' || edition() || ' edition' FROM schema_migrations;"
} >"$scratch/deploy.sql"

if psql -X -q -v ON_ERROR_STOP=1 "$@" -f "$scratch/deploy.sql" 2>"$scratch/errors"; then
    sed 's/^psql:[^ ]* *NOTICE: *//' "$scratch/errors" >&2
    exit 0
else
    code=$?
fi
message=$(sed -n \
    -e 's/^psql:.*\/\([0-9]*_[a-z_]*\)\.sql:\([0-9]*\): ERROR: */migration \1 failed in line \2: /p' \
    -e 's/^psql:.*: \(ERROR\|FATAL\): *//p' "$scratch/errors")
if [ "$code" -eq 2 ]; then
    message=$(tr -d '\t' <"$scratch/errors" | tr '\n' ' ' | sed 's/^psql: error: //')
    fail 4 "the database could not be reached: ${message}Check PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD."
fi
fail 1 "${message:-$(cat "$scratch/errors")}"
