-- Trust over time and among processes; certificates; what a login needs beside a key.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local function whoami(env) return env:run("id -un").stdout end

-- A script for another tutti, with `env` as a local; options as Lua text.
local function script(dir, options, body)
  return t.write(dir .. "/run.lua", ([[
    local tutti = require "tutti"
    local env = tutti.ssh { host = "127.0.0.1", port = %d, user = %q, key = %q, agent = false, %s }
    %s]]):format(ssh.port, ssh.user, ssh.dir .. "/id_ed25519", options, body))
end

t.describe("host keys", function()
  t.it("accept-new writes one line when many processes come at once", function()
    local dir = t.tmpdir()
    local options = ("known_hosts = %q, host_key = 'accept-new', config = false"):format(dir .. "/known_hosts")
    local file = script(dir, options, "env:run 'true'")
    t.write(dir .. "/known_hosts", "# a line without its end")
    local numbers = {}
    for i = 1, 12 do numbers[i] = i end
    tutti.map(numbers, function() tutti.here:run { os.getenv "TUTTI", "run", file, cwd = dir } end, { parallel = 12 })
    local lines = {}
    for line in t.slurp(dir .. "/known_hosts"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    t.eq(#lines, 2, t.slurp(dir .. "/known_hosts"))
    t.eq(lines[1], "# a line without its end")
    t.eq(ssh.env({ known_hosts = dir .. "/known_hosts" }):run("echo x").stdout, "x\n")
  end, { timeout = 120 })
  t.it("a changed key is refused when a warm pool needs another connection", function()
    local server = ssh.server { SSHD_MAX_SESSIONS = "1" }
    local env = server.env()
    local held = env:spawn "echo ready; read x; echo still $x"
    t.eq(held:read(), "ready\n")
    server.control "rekey"
    local mark = t.tmpdir() .. "/ran"
    t.write(server.dir .. "/log", "")
    local e = t.raises("host_key", function() env:run("touch %s", mark) end)
    t.eq(select(2, e.message:gsub("SHA256:", "")), 2)
    t.match(e.message, server.dir:gsub("%p", "%%%0") .. "/known_hosts:%d+ says")
    t.eq(tutti.here:stat(mark), nil)
    t.no(t.slurp(server.dir .. "/log"):find(ssh.user, 1, true), "not even the user's name was sent")
    held:write "there\n"
    t.eq(held:read(), "still there\n", "the connection that was made before goes on")
    t.eq(held:wait().ok, true)
  end)
  t.it("an authority's line makes no host known, and the error says why", function()
    local dir = t.tmpdir()
    t.write(dir .. "/known_hosts", "@cert-authority * " .. t.slurp(ssh.dir .. "/host_ecdsa.pub"))
    local e = t.raises("host_key", function() ssh.env({ known_hosts = dir .. "/known_hosts" }):run "true" end)
    t.has(e.message, "certificates cannot be checked")
    t.has(e.message, "SHA256:")
  end)
  t.it("accept-new never believes a changed or a revoked key", function()
    local dir = t.tmpdir()
    local at, other = ("[127.0.0.1]:%d "):format(ssh.port), t.slurp(ssh.dir .. "/id_ed25519.pub")
    t.write(dir .. "/changed", at .. other)
    t.write(dir .. "/revoked", "@revoked * " .. t.slurp(ssh.dir .. "/host_ed25519.pub"))
    for _, name in ipairs { "changed", "revoked" } do
      local before = t.slurp(dir .. "/" .. name)
      local e = t.raises("host_key", function()
        ssh.env({ known_hosts = dir .. "/" .. name, host_key = "accept-new" }):run "true"
      end)
      t.has(e.message, dir .. "/" .. name .. ":1")
      t.eq(t.slurp(dir .. "/" .. name), before)
    end
  end)
end)

t.describe("certificates", function()
  local function certified(dir, type)
    tutti.here:run({ sh = { "cp %s %s && chmod 600 %s && cp %s.pub %s.pub && ssh-keygen -q -s %s -I me -n %s %s.pub",
      ssh.dir .. "/id_" .. type, dir .. "/key", dir .. "/key", ssh.dir .. "/id_" .. type, dir .. "/key",
      dir .. "/ca", ssh.user, dir .. "/key" } })
    return dir .. "/key"
  end
  local function authority()
    local dir = t.tmpdir()
    tutti.here:run { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir .. "/ca" }
    local server = ssh.server { SSHD_OPTIONS = ("TrustedUserCAKeys %s/ca.pub\nAuthorizedKeysFile none"):format(dir) }
    return dir, server
  end
  t.it("of an ecdsa key lets in", function()
    local dir, server = authority()
    t.raises("auth", function() server.env():run "true" end)
    t.eq(whoami(server.env { key = certified(dir, "ecdsa") }), ssh.user .. "\n")
  end)
  t.it("of another kind of key is named as what cannot be used", function()
    for _, type in ipairs { "ed25519", "rsa" } do
      local dir, server = authority()
      local e = t.raises("auth", function() server.env({ key = certified(dir, type) }):run "true" end)
      t.has(e.message, "certificate of " .. dir .. "/key (not possible: only ecdsa certificates are)")
    end
  end)
end)

t.describe("a login", function()
  t.it("answers keyboard-interactive with the password", function()
    local server = ssh.server { SSHD_OPTIONS = "UsePAM yes\nPasswordAuthentication no\n"
      .. "KbdInteractiveAuthentication yes\nAuthorizedKeysFile none" }
    t.eq(whoami(server.env { key = {}, password = ssh.password }), ssh.user .. "\n")
    local e = t.raises("auth", function() server.env({ key = {}, password = "wrong" }):run "true" end)
    t.has(e.message, "keyboard-interactive (refused)")
    t.no(e.message:find("wrong", 1, true))
  end)
  t.it("takes several factors", function()
    local server = ssh.server { SSHD_OPTIONS = "AuthenticationMethods publickey,password" }
    t.eq(whoami(server.env { password = ssh.password }), ssh.user .. "\n")
    t.raises("auth", function() server.env():run "true" end)
  end)
  t.it("takes secrets for password and passphrase, and shows neither", function()
    local dir = t.tmpdir()
    t.write(dir .. "/password", ssh.password .. "\n")
    t.write(dir .. "/phrase", "open sesame\n")
    t.eq(whoami(ssh.env { key = {}, password = tutti.secret { file = dir .. "/password" } }), ssh.user .. "\n")
    local env = ssh.env { key = ssh.dir .. "/id_encrypted", passphrase = tutti.secret { file = dir .. "/phrase" } }
    t.eq(whoami(env), ssh.user .. "\n")
    t.no(tostring(env):find("sesame", 1, true))
    local e = t.raises("auth", function()
      ssh.env({ key = ssh.dir .. "/id_encrypted", passphrase = tutti.secret { file = dir .. "/password" } }):run "true"
    end)
    t.no(tostring(e):find(ssh.password, 1, true))
  end)
  t.it("asks a person for a passphrase on the terminal, unseen", function()
    local dir = t.tmpdir()
    local file = script(dir, ("known_hosts = %q, config = false, passphrase = tutti.secret { prompt = 'Phrase: ' }")
      :format(ssh.dir .. "/known_hosts"), "print('in as ' .. tostring(env:run 'id -un'))")
    tutti.here:run("sed -i s/id_ed25519/id_encrypted/ %s", file)
    local p = tutti.here:spawn { sh = { "exec %s run %s", os.getenv "TUTTI", file }, pty = true }
    local said = ""
    repeat said = said .. assert(p:read(), said) until said:find "Phrase: "
    p:write "open sesame\n"
    for chunk in function() return p:read() end do said = said .. chunk end
    t.eq(p:wait().ok, true, said)
    t.has(said, "in as " .. ssh.user)
    t.no(said:find("sesame", 1, true))
  end)
  t.it("does without OpenSSH's programs, except its configuration", function()
    local dir = t.tmpdir()
    local known = ("known_hosts = %q"):format(ssh.dir .. "/known_hosts")
    local file = script(dir, known, "io.write(env:run('id -un').stdout)")
    local r = tutti.here:try { os.getenv "TUTTI", "run", file, env = { PATH = "/nonexistent" } }
    t.eq(r.stdout, ssh.user .. "\n", r.stderr)
    t.write(dir .. "/config", "Host box\n  HostName 127.0.0.1\n")
    file = script(dir, known .. (", config = %q"):format(dir .. "/config"), "env:run 'true'")
    r = tutti.here:try { os.getenv "TUTTI", "run", file, env = { PATH = "/nonexistent" } }
    t.no(r.ok)
    t.has(r.stderr, "ssh")
  end)
end)
t.done()
