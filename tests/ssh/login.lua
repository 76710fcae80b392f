-- Who we are, and who the server is.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local function whoami(env) return env:run("id -un").stdout end

t.describe("authentication", function()
  for _, key in ipairs { "id_ed25519", "id_ecdsa", "id_rsa" } do
    t.it("by the key file " .. key, function()
      t.eq(whoami(ssh.env { key = ssh.dir .. "/" .. key }), ssh.user .. "\n")
    end)
  end
  t.it("by an encrypted key file and its passphrase", function()
    local env = ssh.env { key = ssh.dir .. "/id_encrypted", passphrase = "open sesame" }
    t.eq(whoami(env), ssh.user .. "\n")
  end)
  t.it("by PEM and PKCS#8 files, plain and encrypted, and encrypted RSA", function()
    local dir = t.tmpdir()
    for i, how in ipairs { "-m PEM -N ''", "-m PKCS8 -N ''", "-m PEM -N sesam", "-m PKCS8 -N sesam", "-N sesam" } do
      local key = dir .. "/key" .. i
      tutti.here:run { sh = ("cp %s/id_rsa %s; chmod 600 %s; ssh-keygen -q -p -f %s %s"):format(ssh.dir, key,
        key, key, how) }
      t.eq(whoami(ssh.env { key = key, passphrase = "sesam" }), ssh.user .. "\n", how)
    end
  end, { timeout = 120 })
  t.it("by password", function()
    t.eq(whoami(ssh.env { key = {}, password = ssh.password, known_hosts = { ssh.dir .. "/known_hosts" } }),
      ssh.user .. "\n")
  end)
  t.it("by an agent, with each type of key", function()
    local dir = t.tmpdir()
    local agent = tutti.here:spawn { "ssh-agent", "-D", "-a", dir .. "/agent" }
    t.cleanup(function() agent:kill() agent:wait() end)
    ssh.eventually(function() return tutti.here:stat(dir .. "/agent") end)
    for _, key in ipairs { "id_ed25519", "id_ecdsa", "id_rsa" } do
      tutti.here:run { sh = { "ssh-add -q -D; ssh-add -q %s", ssh.dir .. "/" .. key },
        env = { SSH_AUTH_SOCK = dir .. "/agent" } }
      local env = ssh.env { key = {}, agent = dir .. "/agent", idle = key == "id_rsa" and "1m" or "2m",
        lifetime = key == "id_ecdsa" and "3m" or nil }
      t.eq(whoami(env), ssh.user .. "\n", key)
    end
  end)
  t.it("what was tried is named when nothing lets us in", function()
    local dir = t.tmpdir()
    tutti.here:run { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir .. "/stranger" }
    local e = t.raises("auth", function()
      ssh.env({ key = { dir .. "/stranger", ssh.dir .. "/id_encrypted", dir .. "/none" },
        password = "wrong" }):run "true"
    end)
    t.has(e.message, "stranger (refused)")
    t.has(e.message, "id_encrypted")
    t.has(e.message, "no passphrase was given")
    t.has(e.message, dir .. "/none")
    t.has(e.message, "password (refused)")
    t.no(e.message:find("wrong", 1, true))
  end)
  t.it("where was looked is named when there is nothing to try", function()
    local dir = t.tmpdir()
    t.write(dir .. "/config", ("Host *\n  IdentityFile %s/nowhere\n  IdentitiesOnly yes\n"):format(dir))
    local e = t.raises("auth", function()
      tutti.ssh({ host = "127.0.0.1", port = ssh.port, user = ssh.user, agent = false, config = dir .. "/config",
        known_hosts = ssh.dir .. "/known_hosts" }):run "true"
    end)
    t.has(e.message, dir .. "/nowhere (no such file), agent (there is none)")
  end)
  t.it("two credentials never share a connection", function()
    t.ok(ssh.env():run("true").ok)
    t.raises("auth", function() ssh.env({ key = {}, password = "wrong" }):run "true" end)
    t.raises("auth", function() ssh.env({ key = ssh.dir .. "/id_encrypted", passphrase = "no" }):run "true" end)
    t.ok(ssh.env():run("true").ok)
  end)
end)

t.describe("host keys", function()
  t.it("an unknown host is refused, with its fingerprint", function()
    local dir = t.tmpdir()
    local e = t.raises("host_key", function() ssh.env({ known_hosts = dir .. "/none" }):run "true" end)
    t.has(e.message, "SHA256:")
    t.eq(tutti.here:stat(dir .. "/none"), nil)
  end)
  t.it("accept-new remembers it once, also when many come at once", function()
    local dir = t.tmpdir()
    local file = dir .. "/deep/known_hosts"
    tutti.map({ 1, 2, 3, 4, 5, 6 }, function(i)
      return ssh.env({ known_hosts = file, host_key = "accept-new", idle = 30 + i }):run "true"
    end)
    local lines = select(2, t.slurp(file):gsub("\n", ""))
    t.eq(lines, 1)
    t.has(t.slurp(file), ("[127.0.0.1]:%d "):format(ssh.port))
    t.ok(ssh.env({ known_hosts = file }):run("true").ok)
    t.raises("host_key", function() ssh.env({ known_hosts = file, host = "127.0.0.2" }):run "true" end)
  end)
  t.it("hashed names and wildcards are found", function()
    local dir = t.tmpdir()
    tutti.here:run { sh = { "cp %s %s; ssh-keygen -q -H -f %s; rm -f %s.old", ssh.dir .. "/known_hosts",
      dir .. "/hashed", dir .. "/hashed", dir .. "/hashed" } }
    t.no(t.slurp(dir .. "/hashed"):find("127.0.0.1", 1, true))
    t.ok(ssh.env({ known_hosts = dir .. "/hashed" }):run("true").ok)
    local key = t.slurp(ssh.dir .. "/host_ed25519.pub")
    t.write(dir .. "/wild", ("# a comment\n!x,[127.0.?.*]:%d %s"):format(ssh.port, key))
    t.ok(ssh.env({ known_hosts = dir .. "/wild" }):run("true").ok)
    t.write(dir .. "/not", ("![127.0.0.1]:%d,[127.*]:%d %s"):format(ssh.port, ssh.port, key))
    t.raises("host_key", function() ssh.env({ known_hosts = dir .. "/not" }):run "true" end)
  end)
  t.it("a revoked key is refused", function()
    local dir = t.tmpdir()
    local key = t.slurp(ssh.dir .. "/host_ed25519.pub")
    t.write(dir .. "/revoked", ("[127.0.0.1]:%d %s@revoked * %s"):format(ssh.port, key, key))
    local e = t.raises("host_key", function() ssh.env({ known_hosts = dir .. "/revoked" }):run "true" end)
    t.has(e.message, "revoked:2")
  end)
  t.it("a changed key is refused with both fingerprints and the line, and nothing was sent", function()
    local server = ssh.server()
    local env = server.env { host_key = "accept-new" }
    local ran = t.tmpdir() .. "/ran"
    t.ok(env:run("true").ok)
    server.control "rekey"
    server.control "cut"
    t.write(server.dir .. "/log", "")
    local e = t.raises("host_key", function() env:run("touch %s", ran) end)
    t.eq(select(2, e.message:gsub("SHA256:", "")), 2)
    t.match(e.message, "known_hosts:%d+ says")
    t.eq(tutti.here:stat(ran), nil)
    t.no(t.slurp(server.dir .. "/log"):find("Accepted", 1, true))
    t.no(t.slurp(server.dir .. "/log"):find(ssh.user, 1, true), "not even the user's name was sent")
  end)
end)

t.describe("the configuration of ssh", function()
  t.it("gives address, user, port, key and known hosts of an alias", function()
    local dir = t.tmpdir()
    t.write(dir .. "/more", "  IdentityFile " .. ssh.dir .. "/id_ed25519\n")
    t.write(dir .. "/config", ([[
Match host box*
  HostName 127.0.0.4
  Port %d
Host box*
  User %s
  IdentitiesOnly yes
  UserKnownHostsFile %s/known_hosts
  Include %s/more
]]):format(ssh.port, ssh.user, ssh.dir, dir))
    local env = tutti.ssh { host = "box7", config = dir .. "/config" }
    t.eq(whoami(env), ssh.user .. "\n")
    t.eq(env:run("echo $SSH_CONNECTION").stdout:match "%S+ %S+ (%S+)", "127.0.0.4")
    t.raises("auth", function() tutti.ssh({ host = "box7", user = "no-such-user",
      config = dir .. "/config" }):run "true" end)
  end)
  t.it("names a certificate, which then lets the key in; others are passed over", function()
    local dir = t.tmpdir()
    tutti.here:run { cwd = dir, sh = [[ssh-keygen -q -t ed25519 -N '' -f ca
      for key in mine other; do ssh-keygen -q -t ecdsa -N '' -f $key; done
      ssh-keygen -q -s ca -I me -n "$USER_THERE" mine.pub; mv mine-cert.pub elsewhere
      ssh-keygen -q -s ca -I other -n "$USER_THERE" other.pub; rm other.pub
      echo nonsense >damaged; chmod 644 ca.pub; chmod 755 .]], env = { USER_THERE = ssh.user } }
    local server = ssh.server { SSHD_OPTIONS = "TrustedUserCAKeys " .. dir .. "/ca.pub" }
    local configs = 0
    local function env(certificates)
      configs = configs + 1
      t.write(dir .. "/config" .. configs, ([[
Host box
  HostName 127.0.0.1
  Port %d
  User %s
  IdentityFile %s/mine
  IdentitiesOnly yes
  UserKnownHostsFile %s/known_hosts
%s]]):format(server.port, ssh.user, dir, server.dir, certificates))
      return tutti.ssh { host = "box", config = dir .. "/config" .. configs }
    end
    local e = t.raises("auth", function() env(""):run "true" end)
    t.no(e.message:find("certificate", 1, true))
    t.eq(whoami(env(("  CertificateFile %s/none\n  CertificateFile %s/damaged\n  CertificateFile %s/other-cert.pub\n" ..
      "  CertificateFile %s/elsewhere\n"):format(dir, dir, dir, dir))), ssh.user .. "\n")
    t.raises("auth", function() env("  CertificateFile " .. dir .. "/other-cert.pub\n"):run "true" end)
  end)
  t.it("one that cannot be read is an error", function()
    local dir = t.tmpdir()
    t.write(dir .. "/config", "Nonsense yes\n")
    local e = t.raises("invalid", function() tutti.ssh({ host = "box", config = dir .. "/config" }):run "true" end)
    t.has(e.message, "onsense")
  end)
end)

t.describe("the way to a host", function()
  local server_of = "echo $SSH_CONNECTION"
  t.it("leads through two others, by option", function()
    local jump = ("%s@127.0.0.2:%d,%s@127.0.0.3:%d"):format(ssh.user, ssh.port, ssh.user, ssh.port)
    local env = ssh.env { host = "127.0.0.5", jump = jump }
    local from, to = env:run(server_of).stdout:match "(%S+) %S+ (%S+)"
    t.eq({ from, to }, { "127.0.0.1", "127.0.0.5" })
    t.eq(#env:run("head -c 5000000 /dev/zero").stdout, 5000000)
  end)
  t.it("leads through another environment, and by ProxyJump", function()
    local env = ssh.env { host = "127.0.0.5", jump = ssh.env { host = "127.0.0.2" } }
    t.eq(env:run(server_of).stdout:match "%S+ %S+ (%S+)", "127.0.0.5")
    local dir = t.tmpdir()
    t.write(dir .. "/config", t.slurp(ssh.dir .. "/ssh_config") .. "\nHost 127.0.0.6\n"
      .. "  ProxyJump 127.0.0.7\nHost 127.0.0.7\n  ProxyJump 127.0.0.8\n")
    env = tutti.ssh { host = "127.0.0.6", config = dir .. "/config" }
    t.eq(env:run(server_of).stdout:match "%S+ %S+ (%S+)", "127.0.0.6")
  end)
  t.it("that cannot be gone is named", function()
    local env = ssh.env { host = "127.0.0.5", port = 1, jump = ssh.env { host = "127.0.0.2" } }
    local e = t.raises("connect", function() env:run "true" end)
    t.has(e.message, "127.0.0.5")
    e = t.raises("connect", function() ssh.env({ port = 1 }):run "true" end)
    t.has(e.message, "port 1")
    e = t.raises("connect", function() ssh.env({ host = "no-such-host.invalid" }):run "true" end)
    t.has(e.message, "no-such-host.invalid")
  end)
  t.it("is a command's stdin and stdout", function()
    local env = ssh.env { idle = "50ms", proxy_command = "bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'" }
    t.eq(whoami(env), ssh.user .. "\n")
    t.eq(#env:run("head -c 5000000 /dev/zero").stdout, 5000000)
    t.raises("connect", function() ssh.env({ proxy_command = "exit 3", connect_timeout = "1s" }):run "true" end)
    ssh.eventually(function() return ssh.count("/dev/tcp/127.0.0.1/" .. ssh.port) == 0 end)
  end)
  t.it("is refused when it makes no sense", function()
    t.raises("invalid", function() ssh.env { host = "-oProxyCommand=x" } end)
    t.raises("invalid", function() ssh.env { host = "a;b" } end)
    t.raises("invalid", function() ssh.env { port = 70000 } end)
    t.raises("invalid", function() ssh.env { proxy_command = "x", jump = "y" } end)
    t.raises("invalid", function() ssh.env { hostkey = "strict" } end)
    t.raises("invalid", function() tutti.ssh "user@host:0" end)
    t.raises("invalid", function() tutti.ssh "" end)
  end)
end)
t.done()
