-- What a daemon does besides running commands: logs, stats, lists, builds, health.
local t = require "spec"
local tutti = require "tutti"
local docker = tutti.docker

-- A container with this main process, gone after the test.
local function container(line)
  local env = docker { image = "box:local", name = "ops-" .. math.random(1e9), entrypoint = { "/bin/sh", "-c", line },
    keep = true }
  env:run "true"
  local name = tostring(env:run("hostname"))
  t.cleanup(function() docker.remove(name, { force = true }) end)
  return name, env
end

-- The lines of each stream; which of two streams was first is nothing that Docker keeps.
local function collect(...)
  local out = { stdout = "", stderr = "" }
  for line, stream in ... do
    out[stream] = out[stream] .. line .. ";"
  end
  return out
end

t.describe("docker", function()
  t.it("logs both streams, with tail and follow", function()
    local name, env = container "echo one; echo two >&2; echo three; sleep 1; echo late; sleep 1000"
    t.eq(collect(docker.logs(name)), { stdout = "one;three;", stderr = "two;" })
    local tail = collect(docker.logs(name, { tail = 1 }))
    t.eq(#(tail.stdout .. tail.stderr:gsub("two", "three")), #"three;")
    local seen = {}
    for line in docker.logs(env, { follow = true }) do
      seen[#seen + 1] = line
      if line == "late" then
        break
      end
    end
    t.eq(seen[#seen], "late")
    t.raises("invalid", function() docker.logs(name, { tial = 1 }) end)
    t.raises("not_found", function() docker.logs "no-such-container" end)
    t.raises("invalid", function() docker.logs "../x" end)
  end)
  t.it("tells what a container uses", function()
    local name = container "sleep 1000"
    local s = docker.stats(name)
    t.ok(s.memory_bytes > 0)
    t.ok(s.cpu_s >= 0)
  end)
  t.it("lists containers and images", function()
    local name = container "sleep 1000"
    local found
    for _, c in ipairs(docker.containers()) do
      found = found or (c.id:sub(1, #name) == name and c)
    end
    t.eq(found.state, "running")
    local tags = {}
    for _, image in ipairs(docker.images()) do
      for _, tag in ipairs(image.tags) do
        tags[tag] = true
      end
    end
    t.ok(tags["box:local"])
  end)
  t.it("builds a folder", function()
    local folder = t.tmpdir()
    t.write(folder .. "/Dockerfile", "FROM box:local\nARG what\nCOPY f /f\nENV WHAT=$what\n")
    t.write(folder .. "/f", "content")
    local said = ""
    local id = docker.build { path = folder, tag = "built:local", args = { what = "argument" },
      progress = function(text) said = said .. text end }
    t.has(id, "sha256:")
    t.has(said, "COPY")
    local env = docker { image = "built:local" }
    t.eq(tostring(env:run "cat /f; echo $WHAT"), "contentargument")
    t.write(folder .. "/Dockerfile", "FROM box:local\nRUN exit 9\n")
    t.has(t.raises("exit", function() docker.build { path = folder } end).message, "9")
  end, { timeout = 120 })
  t.it("waits until a container is healthy", function()
    local folder = t.tmpdir()
    t.write(folder .. "/Dockerfile",
      "FROM box:local\nHEALTHCHECK --interval=300ms --retries=3 CMD test -e /tmp/ok\n"
      .. 'CMD ["sh", "-c", "sleep 1; touch /tmp/ok; sleep 1000"]\n')
    docker.build { path = folder, tag = "health:local" }
    local env = docker { image = "health:local" }
    docker.wait_healthy(env, { timeout = "30s" })
    t.eq(docker.inspect(env).State.Health.Status, "healthy")
    local name = container "sleep 1000"
    docker.wait_healthy(name) -- it has no check: it runs
    t.write(folder .. "/Dockerfile",
      "FROM box:local\nHEALTHCHECK --interval=200ms --retries=1 CMD false\nCMD sleep 1000\n")
    docker.build { path = folder, tag = "sick:local" }
    local sick = docker { image = "sick:local" }
    t.raises("health", function() docker.wait_healthy(sick, { timeout = "30s" }) end)
  end, { timeout = 120 })
  t.it("a pull of what there is not fails with its kind", function()
    local e = t.raises(nil, function() docker.pull "127.0.0.1:1/none:x" end)
    t.ok(e.kind == "connect" or e.kind == "not_found" or e.kind == "io", e.kind)
    t.raises("invalid", function() docker.pull "a; b" end)
  end)
end)
t.done()
