-- `tutti on` over many hosts.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

-- One server that answers as every 127.x.y.z, and `tutti on` with a configuration that finds it.
local function fleet()
  local server = ssh.server { SSHD_ADDRESSES = "0.0.0.0" }
  t.write(server.dir .. "/known_hosts", ("[127.*]:%d %s"):format(server.port,
    t.slurp(server.dir .. "/host_ed25519.pub")))
  t.write(server.dir .. "/config",
    ("Host 127.*\n  User %s\n  Port %d\n  IdentityFile %s/id_ed25519\n  IdentitiesOnly yes\n  ConnectTimeout 150\n"
      .. "  UserKnownHostsFile %s/known_hosts\n")
    :format(ssh.user, server.port, server.dir, server.dir))
  return function(...)
    return tutti.here:try { os.getenv "TUTTI", "on", env = { TUTTI_SSH_CONFIG = server.dir .. "/config" }, ... }
  end
end

-- Fails on the hosts whose last number is below 10.
local some_fail = "case $SSH_CONNECTION in *' 127.0.2.'?' '*) echo bad >&2; exit 3;; esac; echo good"

t.describe("tutti on", function()
  t.it("runs on 100 hosts, folds what is equal, and tells who failed", function()
    local on = fleet()
    local r = on("--parallel", "100", "ssh://127.0.1.[1:100]", "--", "echo same")
    t.eq(r.code, 0, r.stderr)
    t.has(r.stdout, "ssh://127.0.1.[1:100] (100): ok\n")
    t.eq(select(2, r.stdout:gsub("same\n", "")), 1)
    r = on("ssh://127.0.1.[1:100]", "--", "case $SSH_CONNECTION in *127.0.1.77*) exit 3;; esac")
    t.eq(r.code, 1)
    t.has(r.stdout, "== ssh://127.0.1.77: ")
    t.has(r.stdout, "ssh://127.0.1.[1:76], ssh://127.0.1.[78:100] (99): ok\n")
  end, { timeout = 120 })
  t.it("runs on 500 hosts as one command", function()
    local r = fleet()("ssh://127.0.[4:5].[1:250]", "--json", "--", "echo $SSH_CONNECTION")
    t.eq(r.code, 0, r.stderr)
    local document = r:json()
    t.eq({ document.total, document.failed, #document.targets }, { 500, 0, 500 })
    for _, row in ipairs(document.targets) do -- each was asked, and answered for itself
      t.eq(row.stdout:match "%S+ %S+ (%S+)", row.target:match "^ssh://(.*)$")
    end
  end, { timeout = 240 })
  t.it("takes ranges, combinations and lists; several words arrive as they are", function()
    local on = fleet()
    local r = on("ssh://" .. ssh.user .. "@127.0.2.[01:03],127.0.2.[14,16]", "ssh://127.0.3.1", "--json", "--",
      "printf", "%s|", "a b", "$(id)", "-x", "'")
    local names, document = {}, r:json()
    for k, row in ipairs(document.targets) do
      names[k] = row.target
      t.eq(row.stdout, "a b|$(id)|-x|'|", row.message)
    end
    local user = "ssh://" .. ssh.user .. "@127.0.2."
    t.eq(names, { user .. "01", user .. "02", user .. "03", user .. "14", user .. "16", "ssh://127.0.3.1" })
  end)
  t.it("--json tells every target's outcome", function()
    local r = fleet()("ssh://127.0.2.[9:10],127.0.2.12:1", "--json", "--", some_fail)
    t.eq(r.code, 1)
    local document = r:json()
    local one, two, three = table.unpack(document.targets)
    t.eq({ document.total, document.failed }, { 3, 2 })
    t.eq({ one.ok, one.kind, one.code, one.stdout, one.stderr }, { false, "exit", 3, "", "bad\n" })
    t.eq({ two.ok, two.kind, two.code, two.stdout }, { true, tutti.json.null, 0, "good\n" })
    t.eq({ three.ok, three.kind, three.code }, { false, "connect", tutti.json.null })
    t.has(three.message, "127.0.2.12")
  end)
  t.it("--fail-fast starts no more, and cancels what runs", function()
    local r = fleet()("ssh://127.0.2.[9:60]", "--parallel", "4", "--fail-fast", "--json", "--",
      some_fail .. "; sleep 3000")
    t.eq(r.code, 1)
    local kinds = {}
    for _, row in ipairs(r:json().targets) do kinds[row.kind] = (kinds[row.kind] or 0) + 1 end
    t.eq(kinds.exit, 1)
    t.ok(kinds["not run"] >= 48, "the most were never started")
    t.eq(kinds.exit + kinds["not run"] + (kinds.cancelled or 0), 52)
  end)
  t.it("--max-failures bears a number or a part, and then starts no more", function()
    local on = fleet()
    local function outcome(...)
      local ok, failed, untouched = 0, 0, 0
      for _, row in ipairs(on("ssh://127.0.2.[1:40]", "--parallel", "1", "--json", ...):json().targets) do
        if row.ok then
          ok = ok + 1
        elseif row.kind == "not run" then
          untouched = untouched + 1
        else
          failed = failed + 1
        end
      end
      return { ok, failed, untouched }
    end
    t.eq(outcome("--max-failures", "3", "--", some_fail), { 0, 4, 36 })
    t.eq(outcome("--max-failures", "20%", "--", some_fail), { 0, 9, 31 })
    t.eq(outcome("--max-failures", "25%", "--", some_fail), { 31, 9, 0 })
  end, { timeout = 120 })
end)
t.done()
