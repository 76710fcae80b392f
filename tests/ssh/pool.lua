-- Many at once: a server's limits are waited for.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

t.describe("limits of the server", function()
  for _, sessions in ipairs { "1", "2", "3" } do
    t.it("20 commands at once with MaxSessions " .. sessions, function()
      local env = ssh.server({ SSHD_MAX_SESSIONS = sessions }).env()
      local got = tutti.map(numbers(20), function(i) return env:run("sleep 0.2; echo %s", i).stdout end,
        { parallel = 20 })
      for i = 1, 20 do t.eq(got[i], i .. "\n") end
    end)
  end
  t.it("commands one after the other need one connection", function()
    local server = ssh.server { SSHD_MAX_SESSIONS = "2" }
    local env = server.env()
    for i = 1, 30 do t.eq(env:run("echo %s", i).stdout, i .. "\n") end
    local _, logins = t.slurp(server.dir .. "/log"):gsub("Accepted publickey", "")
    t.eq(logins, 1)
  end)
  t.it("200 hosts at once with the default MaxStartups", function()
    local server = ssh.server { SSHD_ADDRESSES = "0.0.0.0" }
    local key = t.slurp(server.dir .. "/host_ed25519.pub")
    t.write(server.dir .. "/known_hosts", ("[127.*]:%d %s"):format(server.port, key))
    local got = tutti.map(numbers(200), function(i)
      return server.env({ host = ("127.0.%d.%d"):format(i // 100, i % 100 + 1) }):run("echo %s", i).stdout
    end, { parallel = 200 })
    for i = 1, 200 do t.eq(got[i], i .. "\n") end
  end, { timeout = 120 })
  t.it("a server that never has room ends in connect, in time", function()
    local server = ssh.server { SSHD_MAX_STARTUPS = "1:100:1" }
    local hold = tutti.here:spawn { "bash", "-c",
      "exec 3<>/dev/tcp/127.0.0.1/" .. server.port .. "; read -r x <&3; echo held; sleep 20" }
    t.cleanup(function() hold:kill() hold:wait() end)
    t.eq(hold:read(), "held\n")
    local from = tutti.now()
    local e = t.raises("connect", function() server.env({ connect_timeout = "2s" }):run "true" end)
    t.between(tutti.now() - from, 2, 12)
    t.has(e.message, "2s")
  end)
  t.it("a server that shuts an address out for a while is waited for", function()
    local server = ssh.server { SSHD_PENALTIES = "noauth:3s min:3s" }
    tutti.here:run { "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/" .. server.port .. "; read -r x <&3" }
    t.eq(server.env():run("echo in").stdout, "in\n")
    if t.slurp(server.dir .. "/sshd_config"):find "PerSourcePenalties" then -- from OpenSSH 9.8 on
      t.has(t.slurp(server.dir .. "/log"), "penalty")
    end
  end)
end)

t.describe("what is refused before it is sent", function()
  local env = ssh.env()
  t.it("a hostile name of a variable", function()
    local mark = t.tmpdir() .. "/x"
    t.raises("invalid", function() env:run { sh = "true", env = { ["A;touch " .. mark .. ";B"] = "1" } } end)
    t.eq(tutti.here:stat(mark), nil)
  end)
  t.it("a directory that is not there never runs the command", function()
    local dir = t.tmpdir()
    tutti.here:run { "chmod", "777", dir }
    local r = env:try { sh = "touch " .. dir .. "/ran", cwd = dir .. "/none" }
    t.eq({ r.kind, r.code, r.stderr }, { "cwd", nil, "" })
    t.has(r.message, dir .. "/none")
    r = env:try { "touch", dir .. "/ran", cwd = dir .. "/none", user = "root", password = ssh.password }
    t.eq(r.kind, "cwd")
    t.eq(tutti.here:stat(dir .. "/ran"), nil)
  end)
end)

t.describe("secrets", function()
  local env = ssh.env()
  t.it("no value of a variable and no password is in a process list", function()
    local p = env:spawn { sh = "echo $TOKEN | md5sum; sleep 880020", env = { TOKEN = "hunter-8820" },
      user = "root", password = ssh.password }
    t.eq(#p:read(), 36)
    t.eq(ssh.count "hunter-8820", 0)
    t.eq(ssh.count(ssh.password), 0)
    p:kill()
    p:wait()
  end)
  t.it("a wrong password for another user fails by name, and runs nothing", function()
    local dir = t.tmpdir()
    tutti.here:run { "chmod", "777", dir }
    for _, password in ipairs { "wrong", false } do
      local r = env:try { sh = "touch " .. dir .. "/ran; cat", user = "root", password = password or nil,
        stdin = "secret input\n", timeout = "20s" }
      t.eq(r.kind, "permission")
      t.has(r.message, "root")
      t.no(tostring(r.message):find("secret input", 1, true))
    end
    t.eq(tutti.here:stat(dir .. "/ran"), nil)
  end)
  t.it("a password that is not asked for stays out of the command's stdin", function()
    local r = env:run { "cat", user = ssh.user, password = ssh.password, stdin = "mine" }
    t.eq(r.stdout, "mine")
    r = env:run { "cat", user = "root", password = ssh.password, stdin = "mine" }
    t.eq(r.stdout, "mine")
  end)
end)

t.describe("login shells", function()
  local shells = { "/bin/bash" }
  for _, shell in ipairs { "/usr/bin/fish", "/bin/tcsh", "/bin/csh", "/usr/bin/zsh" } do
    if tutti.here:stat(shell) then shells[#shells + 1] = shell end
  end
  for _, shell in ipairs(shells) do
    t.it(shell .. " passes everything on", function()
      local name = "tutti-shell"
      tutti.here:try { "userdel", "-r", name }
      tutti.here:run { "useradd", "-m", "-s", shell, name }
      tutti.here:run("usermod -p '*' " .. name)
      t.cleanup(function() tutti.here:try { sh = [[
        for p in /proc/[0-9]*; do
          [ "$(stat -c %U $p 2>/dev/null)" != tutti-shell ] || kill ${p#/proc/}
        done; userdel -r tutti-shell]] } end)
      local env = ssh.env { user = name, idle = "100ms" }
      local hostile = "a'b\"c\\d\\'e$(touch x)`y`!! %s ~ * \n\r\t\1\127\200\255 end\\"
      for _ = 1, 2 do
        t.eq(env:run({ "printf", "%s", hostile }).stdout, hostile)
        t.eq(env:run({ sh = "printf %s \"$V\"", env = { V = hostile } }).stdout, hostile)
        end
      t.eq(env:try("exit 3").code, 3)
    end)
  end
  t.it("one that runs nothing is named", function()
    tutti.here:try { "userdel", "-r", "tutti-shell" }
    tutti.here:run "useradd -m -s /usr/sbin/nologin tutti-shell && usermod -p '*' tutti-shell"
    t.cleanup(function() tutti.here:try "userdel -r tutti-shell" end)
    local r = ssh.env({ user = "tutti-shell", idle = "100ms" }):try "true"
    t.eq(r.kind, "permission")
    t.has(r.message, "not available")
  end)
end)
t.done()
