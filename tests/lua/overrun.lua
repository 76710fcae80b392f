-- Code that stays on the processor beyond its deadline, and cleanup that never ends.
-- luacheck: ignore 542
local t = require "spec"
local tutti = require "tutti"
local flow = require "_flow"

local function spin() while true do end end
local function stubborn() while true do pcall(spin) end end

-- What each function that never awaits raises under a deadline; all must end, soon.
local ways = {
  ["a loop"] = spin,
  ["one that catches every error"] = stubborn,
  ["one in xpcall, whose handler loops too"] = function() while true do xpcall(spin, spin) end end,
  ["one in a coroutine"] = function() while true do coroutine.resume(coroutine.create(stubborn)) end end,
  ["one that makes coroutines"] = function()
    while true do pcall(coroutine.wrap(function() pcall(spin) coroutine.yield() end)) end
  end,
  ["one in a coroutine that yielded before"] = function()
    local resume = coroutine.wrap(function() while true do coroutine.yield() pcall(spin) end end)
    resume()
    while true do pcall(resume) end
  end,
  ["one in a comparator"] = function() table.sort({ 3, 2, 1 }, stubborn) end,
  ["one in a callback of gsub"] = function() while true do pcall(string.gsub, "abc", ".", spin) end end,
  ["one in a metamethod"] = function() return setmetatable({}, { __index = stubborn }).x end,
  ["one that builds strings"] = function() local s repeat s = ("x"):rep(1000):gsub("x", "y") until not s end,
}

t.describe("tutti.timeout ends", function()
  for name, f in pairs(ways) do
    t.it(name, function()
      local from = tutti.now()
      local ok, e = pcall(tutti.timeout, "50ms", f)
      t.no(ok)
      t.eq(e.kind, "timeout")
      t.has(e.message, "the function given to tutti.timeout timed out after 0.05s")
      t.between(tutti.now() - from, 0.05, 30)
    end)
  end

  t.it("by the innermost deadline that passed", function()
    local kept
    local ok, e = pcall(tutti.timeout, "10s", function()
      local fine, inner = pcall(tutti.timeout, "50ms", spin)
      kept = not fine and inner.kind
      return "went on"
    end)
    t.eq({ ok, e, kept }, { true, "went on", "timeout" })
  end)

  t.it("by the outermost one too", function()
    local ok, e = pcall(tutti.timeout, "50ms", function() tutti.timeout("10s", stubborn) end)
    t.no(ok)
    t.match(e.message, "0%.05s")
  end)

  t.it("with what it awaited before behind it", function()
    local ok, e = pcall(tutti.timeout, "80ms", function() tutti.sleep "20ms" stubborn() end)
    t.eq({ ok, e.kind }, { false, "timeout" })
  end)

  t.it("and nothing that is in time", function()
    for _ = 1, 20 do
      t.eq(tutti.timeout("10s", function()
        local n = 0
        for i = 1, 10000 do n = n + i end
        return n
      end), 50005000)
    end
    tutti.timeout("40ms", function() end)
    local from = tutti.now()
    while tutti.now() - from < 0.1 do end -- its alarm rings here, and means nobody
  end)

  t.it("a loop, whose cleanup still runs and may wait", function()
    local log = {}
    local ok = pcall(tutti.timeout, "50ms", function()
      tutti.defer(function() tutti.sleep "1ms" log[#log + 1] = "deferred" end)
      local _ <close> = setmetatable({}, { __close = function()
        for _ = 1, 10000 do end
        log[#log + 1] = tutti.here:run("echo closed").stdout
      end })
      stubborn()
    end)
    t.no(ok)
    t.eq(log, { "closed\n", "deferred" })
  end)
end)

t.describe("a workflow", function()
  t.it("ends a function at its timeout, its deadline and its health check's", function()
    local made, task, dir = flow.new { on_failure = "continue" }
    task "timeout" { run = stubborn, timeout = "50ms" }
    task "deadline" { run = stubborn, deadline = "50ms" }
    task "health" { run = "true", health = { run = stubborn, timeout = "50ms", retries = 0 } }
    task "when" { run = "true", when = stubborn, timeout = "50ms" }
    local _, tasks = flow.run(made, dir)
    for name, one in pairs(tasks) do
      t.eq({ name, one.status }, { name, "failed" })
    end
    t.eq(tasks.timeout.error.kind, "timeout")
    t.match(tasks.timeout.error.message, 'task "timeout" timed out after 0%.05s')
    t.eq(tasks.deadline.error.kind, "timeout")
    t.eq(tasks.when.error.kind, "timeout")
    t.has(tasks.health.error.message, "timed out")
  end)

  t.it("tries a function again that ran out of time", function()
    local made, task, dir = flow.new()
    task "a" { run = function(ctx) if ctx.attempt == 1 then stubborn() end return ctx.attempt end,
      timeout = "100ms", retries = 1, backoff = 0 }
    local outcome, tasks = flow.run(made, dir)
    t.eq({ outcome.status, tasks.a.output }, { "completed", 2 })
  end)

  t.it("ends a rollback at its timeout and goes on with the others", function()
    local made, task, dir = flow.new()
    task "first" { run = "true", rollback = "touch undone" }
    task "second" { needs = "first", run = "true", rollback = { run = stubborn, timeout = "50ms" } }
    task "third" { needs = "second", run = "false" }
    local _, tasks = flow.run(made, dir)
    t.eq({ tasks.second.status, tasks.first.status }, { "rollback_failed", "rolled_back" })
    t.has(tasks.second.rollback.error.message, "timed out")
    t.ok(t.exists(dir .. "/undone"))
  end)
end)

t.describe("a cancelled function", function()
  t.it("that goes on without waiting is stopped after ten seconds, and so is its cleanup", function()
    local entered
    local h = tutti.spawn(function()
      tutti.defer(function() entered = true stubborn() end)
      pcall(tutti.sleep, "1h")
      stubborn()
    end)
    tutti.sleep "10ms"
    h:cancel()
    local from = tutti.now()
    local ok, e = pcall(h.join, h)
    t.eq({ ok, e.kind }, { false, "cancelled" })
    t.between(tutti.now() - from, 10, 60)
    t.no(entered) -- there was no time left
  end)

  t.it("is stopped in a deferred function too", function()
    local h = tutti.spawn(function()
      tutti.defer(stubborn)
      tutti.sleep "1h"
    end)
    tutti.sleep "10ms"
    h:cancel()
    t.no((pcall(h.join, h)))
  end)
end)

t.done()
