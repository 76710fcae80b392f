-- What the Kubernetes specs share: pods made past tutti, kubeconfigs of one's own, and looks at the
-- processes of pods from outside (the node is this machine).
local t = require "spec"
local tutti = require "tutti"
local yaml = require "tutti.client".yaml

local kube = { dir = assert(os.getenv "TUTTI_TEST_KUBE_RUN", "needs tests/support/kube") }
kube.context = os.getenv "TUTTI_TEST_KUBE_CONTEXT"
local support = os.getenv "TUTTI_TOP" .. "/tests/support/kube"
local here = tutti.here
local serial = 0

-- tests/support/kube COMMAND DIR ARG…; what it printed.
function kube.support(command, ...)
  return here:run({ support, command, kube.dir, ... }).stdout
end

function kube.name(prefix)
  serial = serial + 1
  return ("%s-%d-%d"):format(prefix or "spec", math.random(1000000), serial)
end

-- A running pod of namespace default, deleted after the test.
function kube.pod(name)
  name = name or kube.name()
  kube.support("pod", name)
  t.cleanup(function() here:try { support, "unpod", kube.dir, name } end)
  return name
end

-- The options of a call with this cluster added.
function kube.with(o)
  o = o or {}
  o.context = kube.context
  return o
end

-- Writes the cluster's kubeconfig with another user, and with these fields of the cluster and the context;
-- JSON is YAML. Returns its path.
function kube.config(user, cluster, context)
  local from = yaml(t.slurp(os.getenv "KUBECONFIG"))[1]
  local function named(list, name)
    for _, item in ipairs(list) do if item.name == name then return item end end
  end
  local old = named(from.contexts, kube.context).context
  local fields = {}
  for _, more in ipairs { named(from.clusters, old.cluster).cluster, cluster or {} } do
    for key, value in pairs(more) do fields[key] = value end
  end
  local c = { cluster = "c", user = "u", namespace = "default" }
  for key, value in pairs(context or {}) do c[key] = value end
  local path = t.tmpdir() .. "/config"
  t.write(path, tutti.json.encode {
    apiVersion = "v1", kind = "Config", ["current-context"] = "own",
    contexts = tutti.json.array { { name = "own", context = c } },
    clusters = tutti.json.array { { name = "c", cluster = fields } },
    users = tutti.json.array { { name = "u", user = user or named(from.users, old.user).user } },
  })
  return path
end

-- The token that the cluster takes.
function kube.token()
  local text = t.slurp(os.getenv "KUBECONFIG")
  return text:match "token: *\"?([%w._-]+)"
end

-- A number of seconds that no other sleep has.
function kube.sleep()
  serial = serial + 1
  return ("8%03d.%d"):format(serial, math.random(100000, 999999))
end

-- How many processes of this machine, which is the node, have exactly these words.
function kube.count(...) return (t.processes(...)) end

-- Clusters take their time.
function kube.eventually(condition, note) t.eventually(condition, note, 30) end

return kube
