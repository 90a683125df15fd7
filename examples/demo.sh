#!/usr/bin/env bash
# The main job, from one YAML file to delivered, signed mail, in a private lab server.
# Every command is printed before it runs, so that it can be retyped. Run it with `make demo`.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

LAB="demo-$$"
FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/mailctl-demo.XXXXXX")
OUTPUT="$FOLDER/.output"
EXAMPLE="$PWD/examples/mail.yml"
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

finish() {
  if [ "$(id -u)" -eq 0 ]; then mailctl lab down --name "$LAB" --quiet; fi
  rm -f "$OUTPUT"
  echo
  echo "The lab is down. The spec and its secrets are still in $FOLDER; remove them with: rm -r $FOLDER"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

chapter() { printf '\n%s== %s ==%s\n' "$bold" "$1" "$plain"; }

show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }

# The words of a command, each quoted where a shell would need it.
quote() {
  local word
  for word in "$@"; do
    [[ "$word" =~ ^[A-Za-z0-9_./:=@,+-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
    printf '%s ' "$word"
  done
}

# Run a command that must end with the given exit code; anything else ends the demo.
expect() {
  local wanted=$1 got
  shift
  show "$(quote "$@")"
  "$@" | tee "$OUTPUT"
  got=${PIPESTATUS[0]}
  if [ "$got" -ne "$wanted" ]; then
    printf '\nthis should have ended with exit code %s, not %s: the demo stops here\n' "$wanted" "$got" >&2
    exit 1
  fi
}

run() { expect 0 "$@"; }

password() { openssl rand -hex 12; }

chapter "A spec: three domains, relays, forwards, a catch-all, quotas"
show "export PATH=${PATH%%:*}:\$PATH"
show "cd $FOLDER"
cd "$FOLDER"
run cp "$EXAMPLE" mailctl.yml
show "umask 077; mkdir secrets passwords"
umask 077
mkdir secrets passwords
for login in ali bob tiny app shop jobs editor; do
  password >"passwords/$login"
  [ "$login" != ali ] || show "openssl rand -hex 12 > passwords/ali; mailctl hash < passwords/ali > secrets/ali"
  mailctl hash <"passwords/$login" >"secrets/$login" || exit 1
done
for relay in ses isp; do password >"secrets/$relay"; done
echo "(the same for every login; a random password in secrets/ses and secrets/isp for the relays)"
run mailctl validate

if [ "$(id -u)" -ne 0 ]; then
  chapter "Without root: what the files would be"
  run mailctl plan --root server
  run mailctl render -o rendered
  echo
  echo "The rest of the demo makes private namespaces and needs root: sudo make demo"
  exit 0
fi
for program in postfix dovecot opendkim; do
  [ -x "/usr/sbin/$program" ] || { echo "$program is not installed: run make install as root" >&2; exit 69; }
done

chapter "What it would do to an empty machine"
run mailctl plan --root server

chapter "A private server: the same files, real paths and ports, own namespaces"
run mailctl lab up --name "$LAB"

chapter "Nothing to do the second time"
run mailctl "--lab=$LAB" plan

chapter "Mail comes in from outside and is delivered"
run mailctl lab send --name "$LAB" --from someone@outside.example --to ali@example.org --subject "hello from outside" --wait
run mailctl lab read --name "$LAB" ali@example.org --password-file passwords/ali

chapter "A login sends over TLS; the message leaves signed"
run mailctl lab send --name "$LAB" --port 587 --login ali@example.org --password-file passwords/ali \
  --from ali@example.org --to friend@faraway.example --subject "signed with DKIM" --wait
run mailctl lab sent --name "$LAB" --to friend@faraway.example --verify

chapter "A forward leaves through its relay, over TLS and with the relay's login"
run mailctl lab send --name "$LAB" --from someone@outside.example --to team@example.org --subject "to the whole team" --wait
FORWARDED=$(sed -n 's/^queue id //p' "$OUTPUT")
run mailctl lab sent --name "$LAB" --to carol@partner.example

chapter "What does not exist is refused at once, and so are strangers who want to relay"
expect 1 mailctl lab send --name "$LAB" --from someone@outside.example --to nobody@example.org
expect 1 mailctl lab send --name "$LAB" --from someone@outside.example --to other@elsewhere.example

chapter "A login sends only as what it owns"
expect 1 mailctl lab send --name "$LAB" --port 465 --login bob@example.org --password-file passwords/bob \
  --from ali@example.org --to friend@faraway.example

chapter "A full mailbox is refused while the sender is still there"
show "(write a message of 700 kB into large.eml)"
{ printf 'From: someone@outside.example\nTo: tiny@example.org\nSubject: large\n\n'
  head -c 700000 /dev/zero | tr '\0' 'x' | fold -w 76; echo; } >large.eml
to_tiny=(mailctl lab send --name "$LAB" --from someone@outside.example --to tiny@example.org --eml large.eml --wait)
run "${to_tiny[@]}"
expect 1 "${to_tiny[@]}"

chapter "One quota changes: the plan says so in mail terms, then apply does it"
run sed -i '/tiny:/s/quota: 1M/quota: 20M/' mailctl.yml
run mailctl "--lab=$LAB" plan
run mailctl "--lab=$LAB" apply -y
run "${to_tiny[@]}"

chapter "Back to the generation before"
run mailctl "--lab=$LAB" history
run mailctl "--lab=$LAB" rollback -y
expect 1 "${to_tiny[@]}"

chapter "The life of one message in the log"
run mailctl lab log --name "$LAB" --id "$FORWARDED"
run mailctl lab status --name "$LAB"

cat <<END

${bold}That was one YAML file.${plain} What next (with the PATH of the first line above, and as root for labs):
  mailctl init                     a first spec for your own server, from a few answers
  mailctl explain                  every key of the spec
  mailctl lab up                   keep a lab of your own; then: mailctl lab send, read, log, status, down
  mailctl plan --root ./out        what it would write, without touching anything
  docs/README.md                   the documentation
END
