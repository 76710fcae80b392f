-- What the specs for ssh share: environments of the started server, and more servers.
local t = require "spec"
local tutti = require "tutti"

local ssh = {
  dir = assert(os.getenv "TUTTI_TEST_SSH_DIR", "needs a started sshd"),
  port = tonumber(os.getenv "TUTTI_TEST_SSH_PORT"),
  user = os.getenv "TUTTI_TEST_SSH_USER",
  password = os.getenv "TUTTI_TEST_SSH_PASSWORD",
  top = os.getenv "TUTTI_TOP",
}

--- An environment on the started server, as its ed25519 key lets in; options replace these.
function ssh.env(options)
  local all = {
    host = "127.0.0.1", port = ssh.port, user = ssh.user, key = ssh.dir .. "/id_ed25519",
    known_hosts = ssh.dir .. "/known_hosts", config = false, agent = false,
  }
  for name, value in pairs(options or {}) do all[name] = value end
  return tutti.ssh(all)
end

local support = ssh.top .. "/tests/support/sshd"

--- Another server, stopped when the test ends. settings: SSHD_… variables.
function ssh.server(settings)
  local dir = t.tmpdir()
  tutti.here:run { support, "up", dir, env = settings }
  t.cleanup(function() tutti.here:try { support, "down", dir } end)
  local port = tonumber(t.slurp(dir .. "/port"))
  local server = { dir = dir, port = port }
  function server.env(options)
    local all = { port = port, key = dir .. "/id_ed25519", known_hosts = dir .. "/known_hosts" }
    for name, value in pairs(options or {}) do all[name] = value end
    return ssh.env(all)
  end
  --- "stop", "start", "restart", "cut", "rekey"
  function server.control(what) tutti.here:run { support, what, dir } end
  return server
end

--- How many processes of this machine have that word in their command line, the asker excepted.
function ssh.count(word)
  local r = tutti.here:run { sh = [[for f in /proc/[0-9]*; do
    [ -r "$f/cmdline" ] && tr '\0' ' ' <"$f/cmdline" 2>/dev/null | grep -qF -- "$WORD" &&
      ! grep -q WORD= "$f/environ" 2>/dev/null && echo x; done; true]], env = { WORD = word } }
  return #r.stdout // 2
end

--- Waits until it holds.
function ssh.eventually(holds, seconds, note) t.eventually(holds, note or "?", seconds or 10) end

return ssh
