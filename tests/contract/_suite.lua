-- What the contract's specs share: the environment under test, the table of exceptions, and looks
-- into the environment that do not depend on what is being tested.
local t = require "spec"
local tutti = require "tutti"

local suite = { kind = os.getenv "TUTTI_TEST_KIND" or "local" }
suite.env = tutti.env(os.getenv "TUTTI_TEST_ENV" or "local:")
-- What sudo asks for there.
suite.password = suite.kind == "ssh" and tutti.secret { env = "TUTTI_TEST_SSH_PASSWORD" } or nil

-- Cases that a kind of environment cannot have, each with its reason. Whatever is not named here
-- holds everywhere.
local nothing_outlives = "each command is a pod of its own: no file outlives it for another to see"
local job = {
  ["runs the whole command as that user"] = "a pod's user is part of the pod, which the job's options describe",
  ["one that holds stdout does not hang the command, and is left alone"] =
    "a job's pod ends with its command, and whatever else runs in it",
}
for _, name in ipairs {
  "an argv that may not be executed is permission", "write and read keep bytes exactly, whatever the name",
  "5 MiB survive", "a write sets the mode, or keeps that of the file before",
  "a write is atomic and leaves no temporary behind", "a write follows a symlink",
  "what is missing is not_found, and stat is nil", "stat tells type, size and mode",
  "glob finds by pattern at any depth, with dot files, not through symlinks",
  "remove takes a file; a tree only when told; never what a symlink points to",
  "a tree goes up and comes down identical", "copy goes straight from one environment to another",
  "takes effect, whatever its name", "a bad one fails as cwd before the command starts",
  "a name that is no name is refused before anything runs", "an unknown one fails before the command starts",
} do
  job[name] = nothing_outlives
end
suite.exceptions = {
  ["k8s-job"] = job,
  k8s = {
    ["runs the whole command as that user"] = "a pod's user is part of the pod; an exec cannot change it",
  },
}

-- As t.it, with the case's exception looked up.
function suite.it(name, body, options)
  t.it(name, function()
    local why = (suite.exceptions[suite.kind] or {})[name]
    if why then
      t.ok(#why > 20, "an exception needs a reason")
      return
    end
    body(suite.env)
  end, options)
end

-- A time limit that leaves a command room to begin: a job's pod takes a second or two to come up.
function suite.limit(seconds)
  return suite.kind == "k8s-job" and seconds + 5 or seconds
end

-- A fresh folder in the environment, removed after the test.
function suite.folder()
  local path = suite.env:run("mktemp -d /tmp/tutti-contract.XXXXXX").stdout:gsub("\n", "")
  t.cleanup(function()
    suite.env:try { "rm", "-rf", path }
  end)
  return path
end

local serial = 0

-- A number of seconds that no other sleep here has, so that its process can be found.
function suite.unique_sleep()
  serial = serial + 1
  return ("7%03d.%d"):format(serial, math.random(100000, 999999))
end

-- How many processes there have exactly this command line.
function suite.count_processes(...)
  local words = table.concat({ ... }, " ") .. " "
  local r = suite.env:run {
    sh = [[for f in /proc/[0-9]*/cmdline; do
      [ "$(tr '\0' ' ' <"$f" 2>/dev/null)" = "$WORDS" ] && echo x
    done; true]],
    env = { WORDS = words },
  }
  return #r.stdout // 2
end

-- Waits for a condition there: for what the far side does in its own time.
function suite.eventually(condition, note)
  local stop = tutti.now() + 15
  while not condition() do
    if tutti.now() > stop then
      error("it did not come true within 15 s: " .. note, 2)
    end
    tutti.sleep "50ms"
  end
end

-- Strings that quoting, encoding and options get wrong.
suite.hostile = {
  "$(id); 'x", "`id`", "a'b\"c", "\\", "\\'", "$HOME", "a\nb\n", "\n", " lead and trail ", "-n", "--",
  "-rf /", "*", "~", "!!", "%s%d", "\t\r\v", "a;b&c|d>e<f", "{a,b}", "#x", "", "\1\2\127", "\255\254\128",
  "日本語", ("x"):rep(20000),
}

return suite
