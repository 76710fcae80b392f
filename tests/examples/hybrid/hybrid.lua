-- scripts/examples/hybrid.lua against the real four: once well, then with every step failing in turn.
-- What each place runs afterwards is looked at from outside.
local t = require "spec"
local tutti = require "tutti"
local k8s = tutti.k8s

local top = os.getenv "TUTTI_TOP"
local cluster = { context = os.getenv "TUTTI_TEST_KUBE_CONTEXT" }
local containerd = os.getenv "TUTTI_TEST_KUBE_RUN" .. "/node/containerd/containerd.sock"
local target = ("ssh://%s@127.0.0.1:%s"):format(os.getenv "TUTTI_TEST_SSH_USER",
  os.getenv "TUTTI_TEST_SSH_PORT")
local staging = tutti.env(target)
local publish = ([[curl -fsS --unix-socket '%s' "http://docker/images/$IMAGE/get" |
  ctr -a '%s' -n k8s.io images import -]])
  :format(os.getenv("DOCKER_HOST"):gsub("^unix://", ""), containerd)

local dir = os.getenv "TUTTI_TEST_DIR" .. "/hybrid"
tutti.here:run { "mkdir", "-p", dir }
tutti.here:run { "cp", "-r", top .. "/scripts/examples/hybrid.lua", top .. "/scripts/examples/greeter", dir }

local function run(version, fail)
  local r = t.tutti {
    "run", dir .. "/hybrid.lua", "--json", "-p", "version=" .. version, "-p", "image=tutti-test/greeter",
    "-p", "base=box:local", "-p", "publish=" .. publish, "-p", "fail=" .. (fail or "none"),
    cwd = dir, env = { STAGING = target, KUBE_CONTEXT = cluster.context },
  }
  local status = {}
  for _, task in ipairs(r:json().tasks) do
    status[task.id] = task.status
    if task.rollback ~= tutti.json.null then
      status[task.id .. " rollback"] = task.rollback.status
    end
  end
  return r, status
end

-- What the staging host's server answers, or nil when none runs.
local function staged()
  local r = staging:try [[build/hybrid/get "$(cat staging/port)" /version]]
  return r.ok and tostring(r) or nil
end

-- What the deployment's pod answers, or nil when there is no deployment.
local function released()
  local ok, found = pcall(k8s.get, "deployment/greeter", cluster)
  if not ok then
    t.eq(found.kind, "not_found")
    return nil
  end
  local pod = tutti.k8s { context = cluster.context, deployment = "greeter" }
  return tostring(pod:run { sh = "/get $(cat /tmp/port) /version" })
end

local function clean()
  staging:try "greeter/release stop staging; rm -rf staging build greeter"
  k8s.delete("deployment/greeter", { context = cluster.context, missing_ok = true })
end

t.describe("the hybrid example", function()
  clean()

  t.it("takes everything back when the first release fails", function()
    local r, status = run("0.9.0", "verify")
    t.eq(r.code, 1)
    t.eq(status.verify, "failed")
    t.eq(status.release, "rolled_back", r.stderr)
    t.eq(status.stage, "rolled_back")
    t.eq(staged(), nil)
    t.eq(released(), nil)
  end, { timeout = 240 })

  t.it("builds, stages, tests and releases", function()
    local r, status = run "1.0.0"
    t.eq(r.code, 0, r.stderr)
    for id, word in pairs(status) do
      t.eq(word, "completed", id)
    end
    t.eq(staged(), "1.0.0")
    t.eq(released(), "1.0.0")
  end, { timeout = 240 })

  -- What fails, and what has to be rolled back then.
  local cases = {
    { "build", {} }, { "image", {} }, { "publish", { stage = true } },
    { "stage", { stage = "failed" } }, { "test", { stage = true } },
    { "current", { stage = true } }, { "release", { stage = true, release = "failed" } },
    { "verify", { stage = true, release = true } },
  }
  for _, case in ipairs(cases) do
    local fail, expected = table.unpack(case)
    t.it("goes back to what ran before when " .. fail .. " fails", function()
      local r, status = run("2.0.0", fail)
      t.eq(r.code, 1)
      t.eq(status[fail], "failed", r.stderr)
      for id, how in pairs(expected) do
        if how == "failed" then
          t.eq(status[id .. " rollback"], "rolled_back", id .. "\n" .. r.stderr)
        elseif status[id] ~= "skipped" and status[id] ~= "cancelled" then
          t.eq(status[id], "rolled_back", id .. "\n" .. r.stderr)
        end
      end
      t.eq(staged(), "1.0.0")
      t.eq(released(), "1.0.0")
    end, { timeout = 240 })
  end

  clean()
end)

t.done()
