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

-- What says nothing about an exception: the environment could not be had.
local elsewhere = { connect = true, auth = true, lost = true, cancelled = true, timeout = true }

-- As t.it. A case that cannot hold here has to fail; one that holds is no exception any more.
function suite.it(name, body, options)
  t.it(name, function()
    local why = (suite.exceptions[suite.kind] or {})[name]
    if not why then return body(suite.env) end
    t.ok(#why > 20, "an exception needs a reason")
    local holds, err = pcall(body, suite.env)
    t.no(holds, "no longer excepted: it holds in " .. suite.kind)
    if type(err) ~= "string" and elsewhere[err.kind] then error(err, 0) end
    t.except(why)
  end, options)
end

-- f of each, one after the other.
function suite.each(list, f)
  for _, one in ipairs(list) do f(one) end
end

-- How long until a command surely has begun: a job's pod takes a second or two to come up, a container less.
local to_begin = { ["k8s-job"] = 10, ["docker-image"] = 3, k8s = 1, docker = 1 }

-- A time limit that leaves a command room to begin, and a test to see it run: more on a machine that has other things
-- to do.
local patience = tonumber(os.getenv "TUTTI_TEST_PATIENCE" or "") or 1
function suite.limit(seconds)
  return seconds + 2 * (patience - 1) + (to_begin[suite.kind] or 0) * (patience + 1) / 2
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

-- How many processes there have exactly this command line. The far sides of all kinds run on this machine, whose
-- /proc shows them all: a job's next command could not see them. A cluster of the user's is looked at from inside.
function suite.count_processes(...)
  if not (suite.kind:find "^k8s" and os.getenv "TUTTI_TEST_KUBECONFIG") then return (t.processes(...)) end
  if suite.kind == "k8s-job" then t.skip "the processes of another machine's pod cannot be seen" end
  local r = suite.env:run {
    sh = [[for f in /proc/[0-9]*/cmdline; do
      [ "$(tr '\0' ' ' <"$f" 2>/dev/null)" = "$WORDS" ] && echo x
    done; true]],
    env = { WORDS = table.concat({ ... }, " ") .. " " },
  }
  return #r.stdout // 2
end

suite.eventually = t.eventually

-- Runs f and waits meanwhile until that process runs, so that it can be missed afterwards. Returns what f does.
function suite.while_it_runs(f, ...)
  local words = table.pack(...)
  return tutti.all {
    f,
    function()
      suite.eventually(function() return suite.count_processes(table.unpack(words)) > 0 end,
        "it runs: " .. table.concat(words, " "))
    end,
  }[1]
end

-- Strings that quoting, encoding and options get wrong.
suite.hostile = {
  "$(id); 'x", "`id`", "a'b\"c", "\\", "\\'", "$HOME", "a\nb\n", "\n", " lead and trail ", "-n", "--",
  "-rf /", "*", "~", "!!", "%s%d", "\t\r\v", "a;b&c|d>e<f", "{a,b}", "#x", "", "\1\2\127", "\255\254\128",
  "日本語", ("x"):rep(20000),
}

return suite
