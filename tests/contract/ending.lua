-- Contract: timeout, cancel; background child.
local t = require "spec"
local suite = require "_suite"
local tutti = require "tutti"
local it = suite.it

t.describe("timeout, cancel", function()
  it("a timeout ends the command, keeps what it said, and leaves nothing running", function(env)
    local seconds = suite.unique_sleep()
    local limit = suite.limit(1)
    local r = suite.while_it_runs(function()
      return env:try { sh = "echo early; sleep " .. seconds, timeout = limit }
    end, "sleep", seconds)
    t.eq({ r.ok, r.kind, r.stdout }, { false, "timeout", "early\n" })
    t.ok(r.duration >= limit and r.duration < limit + 12, r.duration) -- a grace, and 10 s at most
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("who traps TERM is killed after the grace, with its grandchildren", function(env)
    local seconds = suite.unique_sleep()
    local limit = suite.limit(0.5)
    local r = suite.while_it_runs(function()
      return env:try {
        sh = ("trap '' TERM; (trap '' TERM; sleep %s; true) & sleep %s; true"):format(seconds, seconds),
        timeout = limit, grace = "500ms",
      }
    end, "sleep", seconds)
    t.ok(r.duration >= limit + 0.5, "it had its grace")
    t.eq(r.kind, "timeout")
    suite.eventually(function() return suite.count_processes("sleep", seconds) == 0 end,
      "the grandchildren are gone")
  end)
  it("TERM comes first, and the command may use the grace", function(env)
    local r = env:try { sh = "trap 'echo tidied; exit 0' TERM; while :; do sleep 0.1; done",
      timeout = suite.limit(1) }
    t.eq(r.kind, "timeout")
    t.eq(r.stdout, "tidied\n")
  end)
  it("cancelling ends the command before the canceller goes on", function(env)
    local seconds = suite.unique_sleep()
    suite.while_it_runs(function()
      t.raises("timeout", function()
        tutti.timeout(suite.limit(1), function() env:run { "sleep", seconds } end)
      end)
    end, "sleep", seconds)
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("the loser of a race is ended", function(env)
    local seconds = suite.unique_sleep()
    local first = tutti.race {
      function() env:run { "sleep", seconds } return "slow" end,
      function()
        suite.eventually(function() return suite.count_processes("sleep", seconds) == 1 end, "the slow one runs")
        env:run "true"
        return "fast"
      end,
    }
    t.eq(first, "fast")
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("a bad duration is refused", function(env)
    t.raises("invalid", function() env:try { "true", timeout = "5 parsecs" } end)
    t.raises("invalid", function() env:try { "true", timeout = -1 } end)
  end)
end)

t.describe("background child", function()
  it("one that holds stdout does not hang the command, and is left alone", function(env)
    local seconds = suite.unique_sleep()
    local r = env:run("sleep " .. seconds .. " & echo started") -- a tenth of the seconds would break the test's limit
    t.eq(r.stdout, "started\n")
    t.eq(suite.count_processes("sleep", seconds), 1)
    env:run { sh = [[for f in /proc/[0-9]*/cmdline; do
      if [ "$(tr '\0' ' ' <"$f" 2>/dev/null)" = "sleep $S " ]; then
        p=${f#/proc/}; kill "${p%/cmdline}"
      fi
    done]], env = { S = seconds } }
  end)
  it("what it says shortly after is still heard", function(env)
    local r = env:run "(sleep 0.05; echo late) & echo first"
    t.eq(r.stdout, "first\nlate\n")
  end)
end)

t.done()
