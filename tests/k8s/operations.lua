-- What a cluster does besides running commands: manifests, rollouts, logs, forwarded ports.
local t = require "spec"
local tutti = require "tutti"
local k8s = tutti.k8s
local where = { context = os.getenv "TUTTI_TEST_KUBE_CONTEXT" }

local function with(o)
  for k, v in pairs(where) do
    o[k] = v
  end
  return o
end

local function deployment(name, replicas, command)
  return {
    apiVersion = "apps/v1", kind = "Deployment", metadata = { name = name },
    spec = {
      replicas = replicas, selector = { matchLabels = { app = name } },
      template = {
        metadata = { labels = { app = name } },
        spec = {
          terminationGracePeriodSeconds = 0,
          containers = { { name = "main", image = "box:local", command = { "/bin/sh", "-c", command } } },
        },
      },
    },
  }
end

t.describe("k8s", function()
  t.it("applies YAML, gets, patches, deletes", function()
    local got = k8s.apply([[
apiVersion: v1
kind: ConfigMap
metadata:
  name: ops-map
data:
  key: "value"
---
apiVersion: v1
kind: ConfigMap
metadata: { name: ops-map-2 }
]], where)
    t.eq(#got, 2)
    t.eq(k8s.get("configmap/ops-map", where).data.key, "value")
    t.eq(k8s.patch("configmap/ops-map", { data = { more = "1" } }, with { type = "merge" }).data.more, "1")
    t.eq(k8s.configmap("ops-map", where), { key = "value", more = "1" })
    k8s.configmap("ops-map-2", { a = "b" }, where)
    t.eq(k8s.configmap("ops-map-2", where).a, "b")
    k8s.delete("configmap/ops-map", where)
    k8s.delete("configmap/ops-map-2", where)
    t.raises("not_found", function() k8s.get("configmap/ops-map", where) end)
    t.raises("not_found", function() k8s.delete("configmap/ops-map", where) end)
    k8s.delete("configmap/ops-map", with { missing_ok = true })
    t.raises("invalid", function() k8s.get("configmap/../x", where) end)
    t.raises("invalid", function() k8s.get("nonsense/x", where) end)
    t.raises("invalid", function() k8s.apply("a: [", where) end)
  end)
  t.it("rolls out, and says which pod a deployment is", function()
    local name = "ops-roll"
    t.cleanup(function() k8s.delete("deployment/" .. name, with { missing_ok = true }) end)
    local none = k8s(with { selector = { app = name } })
    t.raises("not_found", function() none:run "true" end)
    k8s.apply(deployment(name, 2, "sleep 100000"), where)
    k8s.rollout_status("deployment/" .. name, with { timeout = "60s" })
    local r = k8s(with { deployment = name }):run "hostname"
    t.has(r.env, "/" .. tostring(r))
    t.eq(#k8s.get("pods", with { selector = "app=" .. name }), 2)
    k8s.patch("deployment/" .. name, { spec = { template = { spec = { containers = {
      { name = "main", image = "no-such-image:local" } } } } } }, where)
    local e = t.raises("timeout", function()
      k8s.rollout_status("deployment/" .. name, with { timeout = "2s" })
    end)
    t.has(e.message, "pods")
  end, { timeout = 120 })
  t.it("a selector with pending pods only is not ready", function()
    local name = "ops-pending"
    t.cleanup(function() k8s.delete("deployment/" .. name, with { missing_ok = true }) end)
    local d = deployment(name, 1, "sleep 1000")
    d.spec.template.spec.containers[1].image = "no-such-image:local"
    k8s.apply(d, where)
    local env = k8s(with { selector = "app=" .. name })
    local deadline = tutti.now() + 20
    while #k8s.get("pods", with { selector = "app=" .. name }) == 0 and tutti.now() < deadline do
      tutti.sleep "100ms"
    end
    t.eq(env:try("true").kind, "connect")
  end)
  t.it("logs, forwards a port, and picks a container of two", function()
    local name = "ops-pod"
    t.cleanup(function() k8s.delete("pod/" .. name, with { missing_ok = true, grace = 0 }) end)
    k8s.apply({
      apiVersion = "v1", kind = "Pod", metadata = { name = name, labels = { app = name } },
      spec = { terminationGracePeriodSeconds = 0, containers = {
        { name = "web", image = "box:local", command = { "/bin/sh", "-c",
          "echo one; echo two; mkdir /www; echo served >/www/index.html; exec httpd -f -p 8080 -h /www" } },
        { name = "side", image = "box:local", command = { "/bin/sh", "-c", "echo side; exec sleep 100000" } },
      } },
    }, where)
    local deadline = tutti.now() + 40
    local web = k8s(with { pod = name, container = "web" })
    local chosen = k8s(with { selector = "app=" .. name, container = "web" })
    while not (chosen:try "test -e /www/index.html").ok do -- a selector takes only what is ready
      assert(tutti.now() < deadline)
      tutti.sleep "200ms"
    end
    local lines = {}
    for line in k8s.logs(name, with { container = "web" }) do
      lines[#lines + 1] = line
    end
    t.eq(table.concat(lines, " "), "one two")
    for line in k8s.logs(k8s(with { pod = name, container = "side" })) do
      t.eq(line, "side")
    end
    t.eq(web:try("true").ok, true)
    local e = t.raises("invalid", function() k8s(with { pod = name }):run "true" end)
    t.has(e.message, "web side")
    local forward = k8s.forward(web, 8080)
    t.eq(tostring(tutti.here:run { "curl", "-fsS", ("http://127.0.0.1:%d/"):format(forward.port) }), "served")
    t.eq(tostring(tutti.here:run { "curl", "-fsS", ("http://127.0.0.1:%d/"):format(forward.port) }), "served")
    forward:close()
    t.ok(not tutti.here:try({ "curl", "-fsS", "-m", "2", ("http://127.0.0.1:%d/"):format(forward.port) }).ok)
  end, { timeout = 120 })
end)
t.done()
