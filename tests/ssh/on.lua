-- `tutti on` over many hosts.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

t.describe("tutti on", function()
  t.it("runs on 100 hosts, folds what is equal, and tells who failed", function()
    local server = ssh.server { SSHD_ADDRESSES = "0.0.0.0" }
    t.write(server.dir .. "/known_hosts", ("[127.*]:%d %s"):format(server.port,
      t.slurp(server.dir .. "/host_ed25519.pub")))
    t.write(server.dir .. "/config",
      ("Host 127.*\n  User %s\n  Port %d\n  IdentityFile %s/id_ed25519\n  IdentitiesOnly yes\n"
        .. "  UserKnownHostsFile %s/known_hosts\n")
      :format(ssh.user, server.port, server.dir, server.dir))
    local env = { TUTTI_SSH_CONFIG = server.dir .. "/config" }
    local tutti_on = { os.getenv "TUTTI", "on", "--parallel", "100", "ssh://127.0.1.[1:100]", "--", "echo same",
      env = env }
    local r = tutti.here:run(tutti_on)
    t.has(r.stdout .. r.stderr, "(100)")
    t.eq(select(2, (r.stdout .. r.stderr):gsub("same\n", "")), 1)
    tutti_on[7] = "case $SSH_CONNECTION in *127.0.1.77*) exit 3;; esac"
    r = tutti.here:try(tutti_on)
    t.eq(r.code, 1)
    t.has(r.stdout .. r.stderr, "127.0.1.77")
  end, { timeout = 120 })
end)
t.done()
