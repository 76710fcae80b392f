# What the rows for ssh share: a server, and tutti's way to it. Sourced after lib.sh.
# shellcheck shell=sh
if ! why=$(SSHD_ADDRESSES=0.0.0.0 SSHD_MAX_STARTUPS=1000:30:1000 "$TOP/tests/support/sshd" up "$DIR/sshd" 2>&1); then
    missing "ssh" "$why"
    exit 0
fi
trap '"$TOP/tests/support/sshd" down "$DIR/sshd"' EXIT
. "$DIR/sshd/env"
port=$TUTTI_TEST_SSH_PORT user=$TUTTI_TEST_SSH_USER key=$DIR/sshd/id_ed25519
printf '[127.*]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$DIR/sshd/host_ed25519.pub")" >known_hosts
cat >there.lua <<END
local tutti = require "tutti"
return function(host)
  return tutti.ssh { host = host or "127.0.0.1", port = $port, user = "$user", key = "$key",
    known_hosts = "$DIR/known_hosts", config = false, agent = false }
end
END
# for OpenSSH's programs and those that start them
cat >ssh_config <<END
Host *
    User $user
    Port $port
    IdentityFile $key
    IdentitiesOnly yes
    UserKnownHostsFile $DIR/known_hosts
    StrictHostKeyChecking yes
    LogLevel ERROR
END
