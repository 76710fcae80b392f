-- Cancelling: what a cancelled task sees, and what its cleanup may do.
-- Functions take "..." because it moves their frames on the stack.
-- luacheck: ignore 212 512
local t = require "spec"
local tutti = require "tutti"

local function closing(f) return setmetatable({}, { __close = f }) end

-- Runs f as a task, cancels it after some milliseconds, and returns what join raised.
local function cancelled(f, after)
  local h = tutti.spawn(f)
  tutti.sleep((after or 10) / 1000)
  h:cancel()
  local ok, e = pcall(h.join, h)
  return not ok and e or nil
end

t.describe("a cancelled task", function()
  t.it("gets the reason at every await from then on", function()
    local kinds = {}
    local e = cancelled(function()
      for i = 1, 3 do
        local ok, err = pcall(tutti.sleep, "1h")
        kinds[i] = not ok and err.kind
      end
      tutti.sleep(0)
    end)
    t.eq(kinds, { "cancelled", "cancelled", "cancelled" })
    t.eq(e.kind, "cancelled")
  end)
  t.it("may return normally all the same", function()
    t.eq(cancelled(function() pcall(tutti.sleep, "1h") end), nil)
  end)
  t.it("that catches it for ever is ended by force", function()
    t.eq(cancelled(function() while true do pcall(tutti.sleep, "1h") end end).kind, "cancelled")
    t.eq(cancelled(function() while true do pcall(pcall, tutti.sleep, "1h") end end).kind, "cancelled")
    t.eq(cancelled(function()
      while true do pcall(coroutine.wrap(function() while true do pcall(tutti.sleep, "1h") end end)) end
    end).kind, "cancelled")
    t.eq(cancelled(function()
      while true do xpcall(tutti.sleep, function(m) return m end, "1h") end
    end).kind, "cancelled")
  end)
  t.it("keeps a result that arrived before", function()
    local got
    cancelled(function() got = tutti.here:run("echo x").ok tutti.sleep "1h" end, 100)
    t.eq(got, true)
  end)
  t.it("ends the command that it waits for, and says so", function()
    local e = cancelled(function() tutti.here:run "echo begun; sleep 30" end, 100)
    t.eq(e.kind, "cancelled")
  end)
  t.it("passes it on to all that it started", function()
    local ended = 0
    local function wait()
      local _ <close> = closing(function() ended = ended + 1 end)
      tutti.sleep "1h"
    end
    cancelled(function() tutti.spawn(wait) tutti.all { wait, wait, function() tutti.race { wait, wait } end } end)
    t.eq(ended, 5)
  end)
end)

t.describe("cleanup", function()
  t.it("in __close waits and runs commands, after the error", function()
    local out, err
    cancelled(function()
      local _ <close> = closing(function(_, e)
        tutti.sleep "2ms"
        out = tutti.here:run("echo cleaned").stdout
        err = e
      end)
      tutti.sleep "1h"
    end)
    t.eq(out, "cleaned\n")
    t.eq(err.kind, "cancelled")
  end)
  t.it("works in every frame that the error leaves", function()
    local log = {}
    local function close(name) return closing(function(...) tutti.sleep "1ms" log[#log + 1] = name end) end
    cancelled(function(...)
      local _ <close> = close "body"
      pcall(function(...)
        local _ <close> = close "pcall"
        xpcall(function(...)
          local _ <close> = close "xpcall"
          coroutine.wrap(function(...)
            local _ <close> = close "coroutine"
            for _ in function() return 1 end, nil, nil, close "for" do
              tutti.sleep "1h"
            end
          end)(1, 2, 3)
        end, function(m) return m end, 1, 2)
      end, 1, nil, 3)
      log[#log + 1] = "went on"
    end)
    t.eq(log, { "for", "coroutine", "xpcall", "pcall", "went on", "body" })
  end)
  t.it("works when the block ends normally after the cancellation", function()
    local done
    cancelled(function()
      do
        local _ <close> = closing(function() tutti.sleep "1ms" done = true end)
        pcall(tutti.sleep, "1h")
      end
    end)
    t.ok(done)
  end)
  t.it("works when another error leaves the block after the cancellation", function()
    local done
    local e = cancelled(function()
      local _ <close> = closing(function() tutti.sleep "1ms" done = true end)
      pcall(tutti.sleep, "1h")
      error "other"
    end)
    t.ok(done)
    t.match(e.message, "other")
  end)
  t.it("works for return through several blocks, and for break and goto", function()
    local log = {}
    local function close(name) return closing(function() tutti.sleep "1ms" log[#log + 1] = name end) end
    cancelled(function()
      pcall(tutti.sleep, "1h")
      while true do
        local _ <close> = close "break"
        break
      end
      do
        local _ <close> = close "goto"
        goto out
      end
      ::out::
      local function f()
        local _ <close> = close "return"
        do
          local _ <close> = close "inner"
          return 1
        end
      end
      f()
    end)
    t.eq(log, { "break", "goto", "inner", "return" })
  end)
  t.it("works in deferred functions and what they start", function()
    local log = {}
    cancelled(function()
      tutti.defer(function()
        tutti.all { function() tutti.sleep "1ms" log[#log + 1] = "all" end }
        tutti.spawn(function() tutti.sleep "1ms" log[#log + 1] = "spawned" end)
      end)
      tutti.sleep "1h"
    end)
    t.eq(log, { "all", "spawned" })
  end)
  t.it("outside of it a wait is still refused", function()
    local ok, kind
    cancelled(function()
      local _ <close> = closing(function() tutti.sleep "1ms" end)
      pcall(tutti.sleep, "1h")
      local e
      ok, e = pcall(function() tutti.sleep "1ms" end)
      kind = e.kind
    end)
    t.eq({ ok, kind }, { false, "cancelled" })
  end)
  t.it("has a deadline of 10 s", function()
    local from, kind = tutti.now(), nil
    cancelled(function()
      local _ <close> = closing(function()
        local _, e = pcall(tutti.sleep, "1h")
        kind = e.kind
      end)
      tutti.sleep "1h"
    end)
    t.between(tutti.now() - from, 10, 20)
    t.eq(kind, "timeout")
  end, { timeout = 30 })
  t.it("is cut short by nothing when nothing was cancelled", function()
    local done
    do
      local _ <close> = closing(function() tutti.sleep "20ms" done = true end)
    end
    t.ok(done)
  end)
  t.it("that began before the cancellation goes on", function()
    local done
    cancelled(function()
      do
        local _ <close> = closing(function() tutti.sleep "50ms" done = true end)
      end
    end, 10)
    t.ok(done)
  end)
end)

t.done()
