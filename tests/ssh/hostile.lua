-- Every string that reaches a remote shell, with hostile values: as oneself, as another user, on a
-- terminal, and in files' names. The far side is asked for the bytes that it saw.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"
local env = ssh.env()

local hostile = {
  "", " ", "'", '"', "a'b\"c", "$(touch /tmp/tutti-hostile)", "`touch /tmp/tutti-hostile`", "$HOME", "${IFS}", "~", "*",
  "; touch /tmp/tutti-hostile", "| cat", "& :", "> /tmp/tutti-hostile", "\n", "a\nb\n", "\r\n", "-n", "--", "-rf",
  "\\", "\\'", "\\\\n",
  "\1\2\127", "\128\255\254", "\195\40", "日本語", "!!", "%s%d%%", "#", "a\tb", ("'"):rep(300), "END\nEOF\n", "\27[31m",
}

local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local seen_as = [[for word; do printf %s "$word" | od -An -v -tx1 | tr -d ' \n'; echo; done]]
local wanted = {}
for i, word in ipairs(hostile) do wanted[i] = hex(word) .. "\n" end

local who = {
  { "oneself", {} },
  { "another user, by sudo", { user = "root", password = ssh.password } },
  { "a user without a shell, by sudo", { user = "nobody", password = ssh.password } },
}

t.before(function() tutti.here:run "rm -f /tmp/tutti-hostile" end)
t.after(function() t.eq(tutti.here:stat "/tmp/tutti-hostile", nil, "something was executed") end)

for _, case in ipairs(who) do
  t.describe("as " .. case[1], function()
    local far = env:with(case[2])
    t.it("arguments arrive exactly", function()
      t.eq(far:run({ "sh", "-c", seen_as, "sh", table.unpack(hostile) }).stdout, table.concat(wanted))
    end)
    t.it("placeholders arrive exactly", function()
      t.eq(far:run { sh = { ("set -- %s; " .. seen_as:gsub("%%", "%%%%")), hostile } }.stdout, table.concat(wanted))
    end)
    t.it("values of variables arrive exactly", function()
      local variables, names = {}, {}
      for i, word in ipairs(hostile) do
        variables["V" .. i] = word
        names[i] = ('"$V%d"'):format(i)
      end
      t.eq(far:run { sh = "set -- " .. table.concat(names, " ") .. "; " .. seen_as, env = variables }.stdout,
        table.concat(wanted))
    end)
    t.it("input arrives exactly", function()
      local all = table.concat(hostile, "\0")
      t.eq(far:run({ "cat", stdin = all }).stdout, all)
    end)
    t.it("directories take effect", function()
      local top = "/tmp/tutti-hostile-" .. math.random(1 << 40)
      env:run { "mkdir", top }
      t.cleanup(function() env:run { "rm", "-rf", top } end)
      for _, word in ipairs(hostile) do
        if #word > 0 and #word < 255 and not word:find "/" then
          env:run { "mkdir", "--", top .. "/" .. word }
          t.eq(far:run({ sh = "pwd", cwd = top .. "/" .. word }).stdout, top .. "/" .. word .. "\n")
          local missing = far:try { "touch", "/tmp/tutti-hostile", cwd = top .. "/" .. word .. "/none" }
          t.eq(missing.kind, "cwd")
        end
      end
    end, { timeout = 120 })
  end)
end

t.describe("on a terminal", function()
  t.it("arguments and variables arrive exactly", function()
    local r = env:run { "sh", "-c", "stty raw; " .. seen_as, "sh", pty = true, table.unpack(hostile) }
    t.eq(r.stdout:gsub("\r", ""), table.concat(wanted))
  end)
end)

t.describe("names", function()
  t.it("of users that are none are refused before anything is sent", function()
    for _, name in ipairs {
      "root; touch /tmp/tutti-hostile", "$(touch /tmp/tutti-hostile)", "-u", "a b", "a\nb", "",
      "\255", "'", "#0",
    } do
      t.raises("invalid", function() env:try { "true", user = name, password = ssh.password } end)
      local ok, r = pcall(function() return ssh.env({ user = name }):try "true" end) -- as who logs in
      t.no(ok and r.ok)
    end
  end)
  t.it("of variables that are none are refused before anything is sent", function()
    for _, name in ipairs {
      "A;touch /tmp/tutti-hostile;B", "$(touch /tmp/tutti-hostile)", "1A", "A-B", "A B", "", "A=B", "A\n", "é",
    } do
      t.raises("invalid", function() env:try { "true", env = { [name] = "1" } } end)
    end
  end)
  t.it("of hosts reach no program's options", function()
    for _, name in ipairs { "-oProxyCommand=touch /tmp/tutti-hostile", "a;touch /tmp/tutti-hostile",
      "$(touch /tmp/tutti-hostile)", "a b", "a\nb" } do
      t.raises("invalid", function() tutti.ssh({ host = name }):run "true" end)
    end
  end)
  t.it("of files are taken as they are, by every operation", function()
    local top = "/tmp/tutti-hostile-" .. math.random(1 << 40)
    env:run { "mkdir", top }
    t.cleanup(function() env:run { "rm", "-rf", top } end)
    local far = env:with { cwd = top }
    local dir = t.tmpdir()
    for _, word in ipairs(hostile) do
      if #word > 0 and #word < 240 and not word:find "/" then
        local path = top .. "/" .. word
        far:write(path, word)
        t.eq(far:run({ "cat", "--", "./" .. word }).stdout, word)
        t.eq(far:stat(path).size, #word)
        far:download(path, dir .. "/back")
        t.eq(t.slurp(dir .. "/back"), word)
        far:upload(dir .. "/back", path .. ".2")
        t.eq(far:read(path .. ".2"), word)
        far:remove(path)
        far:remove(path .. ".2")
        t.eq(far:run({ "ls", "-A", top }).stdout, "")
      end
    end
  end, { timeout = 120 })
  t.it("of trees and of what is in them, too", function()
    local top = "/tmp/tutti-hostile-" .. math.random(1 << 40)
    env:run { "mkdir", top }
    t.cleanup(function() env:run { "rm", "-rf", top } end)
    local dir = t.tmpdir()
    for i, word in ipairs(hostile) do
      if #word > 0 and #word < 220 and not word:find "/" then
        local from = dir .. "/" .. i
        tutti.here:run { "mkdir", "-p", from .. "/" .. word .. "/d" }
        t.write(from .. "/" .. word .. "/" .. word, word)
        env:upload(from, top .. "/" .. word)
        t.eq(env:run({ "cat", "--", top .. "/" .. word .. "/" .. word .. "/" .. word }).stdout, word)
        env:download(top .. "/" .. word, dir .. "/back" .. i)
        t.eq(t.slurp(dir .. "/back" .. i .. "/" .. word .. "/" .. word), word)
        t.eq(env:run({ "find", top, "-name", ".tutti-*" }).stdout, "")
      end
    end
  end, { timeout = 120 })
end)

t.describe("a password for sudo", function()
  t.it("is in no argument, environment, file or log there", function()
    -- a user and a word that nobody else here has
    local name, word = "tutti-sudo", ("%08x-%08x"):format(math.random(1 << 32) - 1, math.random(1 << 32) - 1)
    local folder = t.tmpdir()
    t.write(folder .. "/password", word .. "\n")
    tutti.here:run { sh = [[userdel -r "$NAME" 2>/dev/null; useradd -m -s /bin/sh "$NAME" &&
      { printf '%s:' "$NAME"; cat "$DIR/password"; } | chpasswd &&
      echo "$NAME ALL=(ALL:ALL) ALL" >"/etc/sudoers.d/$NAME"]], env = { NAME = name, DIR = folder } }
    t.cleanup(function() tutti.here:try("rm -f /etc/sudoers.d/%s; userdel -r %s", name, name) end)
    -- root looks while the command runs; the word is put together there, so as not to find the search itself
    local r = ssh.env({ user = name, idle = "100ms" }):run { user = "root",
      password = tutti.secret { file = folder .. "/password" },
      env = { LOG = ssh.dir .. "/log", A = word:sub(1, 8), B = word:sub(10) }, sh = [[
      for p in /proc/[0-9]*; do cat $p/cmdline $p/environ; done 2>/dev/null | grep -ac "$A[-]$B"
      cat "$LOG" /var/log/auth.log /var/log/syslog 2>/dev/null | grep -ac "$A[-]$B"
      find /home /dev/shm /run -xdev -type f -size -64k -exec grep -l "$A[-]$B" {} + 2>/dev/null | wc -l]] }
    t.eq(r.stdout, "0\n0\n0\n")
  end)
end)
t.done()
