-- Contract: streams.
local t = require "spec"
local suite = require "_suite"
local it = suite.it

t.describe("streams", function()
  it("lines come while the command runs", function(env)
    local p = env:spawn "echo one; read x; echo two $x"
    local lines = p:lines()
    t.eq(lines(), "one")
    p:write "go\n"
    t.eq(lines(), "two go")
    t.eq(lines(), nil)
    t.eq(p:wait().ok, true)
  end)
  it("yes broken off after one line ends at once", function(env)
    local mark = suite.unique_sleep()
    local p = env:spawn("yes " .. mark)
    t.eq(p:lines()(), mark)
    p:kill()
    t.eq(p:wait().kind, "signal")
    t.eq(suite.count_processes("yes", mark), 0)
  end)
  it("writing and half-closing stdin reach the command", function(env)
    local p = env:spawn { "cat" }
    p:write "a"
    p:write("b\0c", 1, "d")
    p:close_stdin()
    local all = {}
    while true do
      local chunk = p:read()
      if not chunk then
        break
      end
      all[#all + 1] = chunk
    end
    t.eq(table.concat(all), "ab\0c1d")
    t.eq(p:wait().ok, true)
  end)
  it("stdin = false is EOF at once", function(env)
    local p = env:spawn { "cat", stdin = false }
    t.eq(p:read(), nil)
    t.eq(p:wait().ok, true)
  end)
  it("wait returns as try does", function(env)
    local p = env:spawn { sh = "exit 7" }
    local r = p:wait()
    t.eq({ r.ok, r.code, r.kind }, { false, 7, "exit" })
    t.eq(p:wait().code, 7, "again")
  end)
  it("kill sends TERM unless another signal is named", function(env)
    local p = env:spawn "trap 'echo got it; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    local lines = p:lines()
    t.eq(lines(), "ready")
    p:kill()
    t.eq(lines(), "got it")
    t.eq(p:wait().code, 0)
    local seconds = suite.unique_sleep()
    p = env:spawn { "sleep", seconds }
    suite.eventually(function() return suite.count_processes("sleep", seconds) == 1 end, "it runs")
    p:kill "KILL"
    t.eq(p:wait().signal, "KILL")
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("streams have no limit, and one that is not read holds the command back", function(env)
    local p = env:spawn "head -c 20000000 /dev/zero; echo done >&2"
    local total = 0
    while true do
      local chunk = p:read()
      if not chunk then
        break
      end
      total = total + #chunk
    end
    t.eq(total, 20000000)
    t.eq(p:wait().ok, true)
  end, { timeout = 120 })
  it("pipe joins two commands", function(env)
    local a = env:spawn { sh = "yes abc | head -n 100000", stdin = false }
    local b = env:spawn { "wc", "-l" }
    a:pipe(b)
    t.match(b:read(), "^%s*100000\n$")
    t.eq(a:wait().ok, true)
    t.eq(b:wait().ok, true)
  end, { timeout = 120 })
end)

t.done()
