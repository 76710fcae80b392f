-- Contract: timeout, cancel; background child.
local t = require "spec"
local suite = require "_suite"
local tutti = require "tutti"
local it = suite.it

t.describe("timeout, cancel", function()
  it("a timeout ends the command, keeps what it said, and leaves nothing running", function(env)
    local seconds = suite.unique_sleep()
    local r = env:try { sh = "echo early; sleep " .. seconds, timeout = suite.limit(1) }
    t.eq({ r.ok, r.kind, r.stdout }, { false, "timeout", "early\n" })
    t.ok(r.duration < 10)
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("who traps TERM is killed after the grace, with its grandchildren", function(env)
    local seconds = suite.unique_sleep()
    local r = env:try {
      sh = ("trap '' TERM; (trap '' TERM; sleep %s; true) & sleep %s; true"):format(seconds, seconds),
      timeout = suite.limit(0.5), grace = "500ms",
    }
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
    local e = t.raises("timeout", function()
      tutti.timeout("1s", function() env:run { "sleep", seconds } end)
    end)
    t.ok(e)
    t.eq(suite.count_processes("sleep", seconds), 0)
  end)
  it("the loser of a race is ended", function(env)
    local seconds = suite.unique_sleep()
    local first = tutti.race {
      function() env:run { "sleep", seconds } return "slow" end,
      function() env:run "sleep 0.3" return "fast" end,
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
    local from = tutti.now()
    local r = env:run("sleep " .. seconds .. " & echo started")
    t.eq(r.stdout, "started\n")
    t.ok(tutti.now() - from < 5)
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
