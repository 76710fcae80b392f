-- Two clusters that have a pod of the same name: everything goes to the named one, whichever is current.
local t = require "spec"
local kube = require "_kube"
local tutti = require "tutti"
local yaml = require "tutti.client".yaml
local k8s = tutti.k8s

local second = kube.support "second":match "([^\n]+)\n*$"

-- One file that has both, as contexts "one" and "two" with the namespace default; that one is current.
local function both(current)
  local all = { apiVersion = "v1", kind = "Config", ["current-context"] = current, clusters = tutti.json.array {},
    users = tutti.json.array {}, contexts = tutti.json.array {} }
  for name, path in pairs { one = os.getenv "KUBECONFIG", two = second } do
    local from = yaml(t.slurp(path))[1]
    all.clusters[#all.clusters + 1] = { name = name, cluster = from.clusters[1].cluster }
    all.users[#all.users + 1] = { name = name, user = from.users[1].user }
    all.contexts[#all.contexts + 1] = { name = name, context = { cluster = name, user = name } }
  end
  return t.write(t.tmpdir() .. "/config", tutti.json.encode(all))
end

local function pod(name, cluster)
  return { apiVersion = "v1", kind = "Pod", metadata = { name = name, labels = { app = name } },
    spec = { nodeName = "node1", terminationGracePeriodSeconds = 0, containers = { { name = "main",
      image = "box:local", command = { "/bin/sh", "-c",
        ("echo log of %s; mkdir /www; echo %s >/www/f; echo %s >/who; exec httpd -f -p 8080 -h /www")
          :format(cluster, cluster, cluster) } } } } }
end

t.describe("of two clusters", function()
  t.it("the named one is hit: exec, logs, files, forward, calls", function()
    for _, current in ipairs { "one", "two" } do
      local config, name = both(current), kube.name "twin"
      local function at(cluster) return { kubeconfig = config, context = cluster } end
      for _, cluster in ipairs { "one", "two" } do
        k8s.apply(pod(name, cluster), at(cluster))
        t.cleanup(function()
          k8s.delete("pod/" .. name, { kubeconfig = config, context = cluster, grace = 0 })
        end)
      end
      local envs = {}
      for _, cluster in ipairs { "one", "two" } do
        envs[cluster] = k8s { kubeconfig = config, context = cluster, pod = name }
        kube.eventually(function()
          local status = k8s.get("pod/" .. name, at(cluster)).status.containerStatuses
          return status and status[1].ready and envs[cluster]:try("test -e /who").ok
        end, "the pod of " .. cluster)
      end
      -- at once, so that connections and shells of both are open
      tutti.map({ "one", "two", "one", "two" }, function(cluster)
        local env = envs[cluster]
        t.eq(env:run "cat /who".stdout, cluster .. "\n")
        t.eq(env:read "/who", cluster .. "\n")
        for line in k8s.logs(env) do t.eq(line, "log of " .. cluster) end
        for line in k8s.logs(name, at(cluster)) do t.eq(line, "log of " .. cluster) end
        local f <close> = k8s.forward(name, 8080, at(cluster))
        t.eq(tutti.here:run { "curl", "-fsS", ("http://127.0.0.1:%d/f"):format(f.port) }.stdout, cluster .. "\n")
        local selected = k8s { kubeconfig = config, context = cluster, selector = "app=" .. name }
        t.eq(selected:run "cat /who".stdout, cluster .. "\n")
        local text = ("k8s://default/%s?context=%s"):format(name, cluster)
        t.eq(t.tutti { "on", text, "--json", "--", "cat", "/who", env = { KUBECONFIG = config } }:json()
          .targets[1].stdout, cluster .. "\n")
      end)
      for _, cluster in ipairs { "one", "two" } do
        envs[cluster]:write("/tmp/f", "written to " .. cluster)
        t.eq(envs[cluster]:run "cat /tmp/f".stdout, "written to " .. cluster)
        k8s.configmap(name, { of = cluster }, at(cluster))
      end
      for _, cluster in ipairs { "one", "two" } do
        t.eq(k8s.configmap(name, at(cluster)).of, cluster)
        k8s.delete("configmap/" .. name, at(cluster))
      end
      -- without a name it is the current one
      t.eq(k8s { kubeconfig = config, pod = name }:run "cat /who".stdout, current .. "\n")
    end
  end, { timeout = 200 })
  t.it("files of KUBECONFIG are merged: the first that has a name counts", function()
    local one, two = both "one", both "two"
    local list = one .. ":/no/such/file:" .. two
    local function cluster(config, context)
      return k8s.get("namespace/default", { kubeconfig = config, context = context }).metadata.uid
    end
    local first, other = cluster(one), cluster(two)
    t.ne(first, other)
    t.eq({ cluster(list), cluster(two .. ":" .. one), cluster(list, "two"), cluster(two .. ":" .. one, "one") },
      { first, other, other, first })
  end)
end)

t.done()
