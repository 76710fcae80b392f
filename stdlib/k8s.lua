-- tutti.k8s: pods and Jobs as environments (called as a function), and what else a cluster does:
-- apply, get, patch, delete, rollout_status, configmap, logs, forward.
--
-- A resource is named as "deployment/web", a list as "pods". The cluster and the namespace are those of
-- the last argument's fields context, kubeconfig and namespace, else those of the current context.
local client = require "tutti.client"
local env = require "tutti.env"
local json = require "tutti.json"

local k8s = {}

local function fail(kind, ...)
  error(require "tutti.error" { kind = kind, message = string.format(...) }, 0)
end

local where_names = { "context", "kubeconfig", "namespace" }

-- Checks the names of o; returns the cluster's client and the namespace.
local function cluster(what, o, names)
  local all = { table.unpack(names) }
  table.move(where_names, 1, #where_names, #all + 1, all)
  client.check(what, o or {}, all)
  local c = client.k8s { context = o and o.context, kubeconfig = o and o.kubeconfig }
  return c, o and o.namespace or c:namespace()
end

local function check_name(what, name)
  if type(name) ~= "string" or not name:match "^[%w][%w.-]*$" or name:find("..", 1, true) then
    fail("invalid", "%s: '%s' is not the name of a resource", what, tostring(name))
  end
  return name
end

local function check_pod(what, name)
  if name:find "%u" then
    fail("invalid", "%s: '%s' is not the name of a pod", what, name)
  end
  return check_name(what, name)
end

-- --- which path a resource has ---

local known = {}
local function learn(api, scope, ...)
  for _, names in ipairs { ... } do
    local plural = names:match "^%S+"
    for name in names:gmatch "%S+" do
      known[name] = { api = api, plural = plural, namespaced = scope == "namespaced" }
    end
  end
end
learn("v1", "namespaced", "pods pod po", "services service svc", "configmaps configmap cm", "secrets secret",
  "serviceaccounts serviceaccount sa", "persistentvolumeclaims persistentvolumeclaim pvc", "events event",
  "endpoints endpoint", "replicationcontrollers replicationcontroller rc")
learn("v1", "cluster", "namespaces namespace ns", "nodes node no", "persistentvolumes persistentvolume pv")
learn("apps/v1", "namespaced", "deployments deployment deploy", "statefulsets statefulset sts",
  "daemonsets daemonset ds", "replicasets replicaset rs")
learn("batch/v1", "namespaced", "jobs job")
learn("networking.k8s.io/v1", "namespaced", "ingresses ingress ing", "networkpolicies networkpolicy")

local function api_root(api)
  return api == "v1" and "/api/v1" or "/apis/" .. api
end

local function collection(resource, namespace)
  return api_root(resource.api)
    .. (resource.namespaced and "/namespaces/" .. check_name("tutti.k8s", namespace) or "")
    .. "/" .. resource.plural
end

-- "deployment/web" or "pods"; o.api for what is not among the well-known ones.
local function resource_of(what, ref, o)
  local kind, name = tostring(ref):match "^([%w.]+)/(.+)$"
  kind = kind or tostring(ref)
  local resource = known[kind:lower()]
  if o and o.api then
    resource = { api = o.api, plural = kind:lower(), namespaced = o.cluster_wide ~= true }
  end
  if not resource then
    fail("invalid", "%s: there is no well-known resource '%s'; name its api = \"group/version\"", what, kind)
  end
  return resource, name and check_name(what, name)
end

-- Kinds of manifests are looked up in the cluster itself, once for each API.
local discovered = setmetatable({}, { __mode = "k" })
local function resource_of_manifest(c, manifest)
  local api, kind = manifest.apiVersion, manifest.kind
  if type(api) ~= "string" or type(kind) ~= "string" or type(manifest.metadata) ~= "table" then
    fail("invalid", "k8s.apply: a manifest needs apiVersion, kind and metadata")
  end
  discovered[c] = discovered[c] or {}
  local list = discovered[c][api]
  if not list then
    list = c:call("GET", api_root(api)).resources
    discovered[c][api] = list
  end
  for _, r in ipairs(list) do
    if r.kind == kind and not r.name:find("/", 1, true) then
      return { api = api, plural = r.name, namespaced = r.namespaced }
    end
  end
  fail("invalid", "k8s.apply: the cluster knows no %s in %s", kind, api)
end

-- --- manifests ---

local function manifests_of(what, given)
  if type(given) == "string" then
    local list = {}
    for _, document in ipairs(client.yaml(given)) do
      if type(document) == "table" then
        list[#list + 1] = document
      end
    end
    return list
  elseif type(given) == "table" then
    return given.kind and { given } or given
  end
  fail("invalid", "%s: a manifest is a table, a list of tables, or YAML", what)
end

-- apply(manifests[, where]): server-side apply of tables or YAML; returns what is there now, in order.
function k8s.apply(given, o)
  local c, namespace = cluster("k8s.apply", o, {})
  local list = manifests_of("k8s.apply", given)
  if #list == 0 then
    fail("invalid", "k8s.apply: there is no manifest")
  end
  local results = {}
  for i, manifest in ipairs(list) do
    local resource = resource_of_manifest(c, manifest)
    local name = check_name("k8s.apply", manifest.metadata.name)
    local path = collection(resource, manifest.metadata.namespace or namespace) .. "/" .. name
    results[i] = c:call("PATCH", path .. "?fieldManager=tutti&force=true", manifest,
      "application/apply-patch+yaml")
  end
  return results
end

-- get("deployment/web"[, where]): the object; not_found when there is none.
-- get("pods"[, { selector =, … }]): a list of objects.
function k8s.get(ref, o)
  local c, namespace = cluster("k8s.get", o, { "selector", "api", "cluster_wide" })
  local resource, name = resource_of("k8s.get", ref, o)
  local path = collection(resource, namespace)
  if name then
    return c:call("GET", path .. "/" .. name)
  end
  if o and o.selector then
    path = path .. "?labelSelector=" .. client.escape(o.selector)
  end
  return c:call("GET", path).items
end

local patch_types = {
  merge = "application/merge-patch+json",
  strategic = "application/strategic-merge-patch+json",
  json = "application/json-patch+json",
}

-- patch("deployment/web", change[, { type = "strategic" | "merge" | "json", … }]): the changed object.
function k8s.patch(ref, change, o)
  local c, namespace = cluster("k8s.patch", o, { "type", "api", "cluster_wide" })
  local resource, name = resource_of("k8s.patch", ref, o)
  local kind = patch_types[o and o.type or "strategic"]
  if not name or not kind then
    fail("invalid", name and "k8s.patch: type is merge, strategic or json" or "k8s.patch: name one resource")
  end
  return c:call("PATCH", collection(resource, namespace) .. "/" .. name, change, kind)
end

-- delete("deployment/web"[, { missing_ok =, grace =, … }])
function k8s.delete(ref, o)
  local c, namespace = cluster("k8s.delete", o, { "missing_ok", "grace", "api", "cluster_wide" })
  local resource, name = resource_of("k8s.delete", ref, o)
  if not name then
    fail("invalid", "k8s.delete: name one resource")
  end
  local how = { propagationPolicy = "Background", gracePeriodSeconds = o and o.grace }
  local ok, e = pcall(c.call, c, "DELETE", collection(resource, namespace) .. "/" .. name, how)
  if not ok and not (o and o.missing_ok and type(e) == "table" and e.kind == "not_found") then
    error(e, 0)
  end
end

-- configmap(name[, where]): its data. configmap(name, data[, where]): sets it.
function k8s.configmap(name, data, o)
  if type(data) == "table" and (data.context or data.namespace or data.kubeconfig) and o == nil then
    data, o = nil, data
  end
  if not data then
    return k8s.get("configmap/" .. name, o).data or {}
  end
  return k8s.apply({ apiVersion = "v1", kind = "ConfigMap", metadata = { name = name }, data = data }, o)[1].data
end

-- --- waiting ---

-- What a deployment, a statefulset or a daemonset still waits for; nil when it is rolled out.
local function unfinished(object)
  local s, spec, meta = object.status or {}, object.spec or {}, object.metadata
  local want = object.kind == "DaemonSet" and (s.desiredNumberScheduled or 0) or spec.replicas or 1
  local updated = object.kind == "DaemonSet" and s.updatedNumberScheduled or s.updatedReplicas
  local ready = object.kind == "Deployment" and s.availableReplicas
    or object.kind == "DaemonSet" and s.numberAvailable or s.readyReplicas
  if (s.observedGeneration or 0) < meta.generation then
    return "the change is not seen yet"
  end
  for _, condition in ipairs(s.conditions or {}) do
    if condition.type == "Progressing" and condition.reason == "ProgressDeadlineExceeded" then
      fail("health", "%s does not roll out: %s", meta.name, condition.message or condition.reason)
    end
  end
  if (updated or 0) < want then
    return ("%d of %d pods are new"):format(updated or 0, want)
  elseif (s.replicas or want) > (updated or 0) then
    return ("%d old pods are left"):format(s.replicas - updated)
  elseif (ready or 0) < want then
    return ("%d of %d pods are ready"):format(ready or 0, want)
  end
end

-- Calls f(object) for a resource as it is and whenever it changes, until it returns true. A watch that
-- ends is made anew.
local function watch_one(c, resource, namespace, name, f)
  while true do
    local path = collection(resource, namespace) .. "?fieldSelector=" .. client.escape("metadata.name=" .. name)
    local list = c:call("GET", path)
    if not list.items[1] then
      fail("not_found", "%s %s does not exist", resource.plural, name)
    end
    if f(list.items[1]) then
      return
    end
    local stream <close> = c:open(path .. "&watch=1&resourceVersion=" .. list.metadata.resourceVersion)
    local held = ""
    while true do
      local bytes = stream:read()
      if not bytes then
        break
      end
      held = held .. bytes
      local stale
      for line in held:gmatch "([^\n]*)\n" do
        local event = json.decode(line)
        if event.type == "DELETED" then
          fail("not_found", "%s %s was deleted", resource.plural, name)
        elseif event.type == "ERROR" then
          stale = true
        elseif event.type ~= "BOOKMARK" and f(event.object) then
          return
        end
      end
      held = held:match "([^\n]*)$"
      if stale then
        break
      end
    end
  end
end

-- rollout_status("deployment/web"[, { timeout = "5m", progress =, … }]): until it is rolled out. Raises
-- `health` when it cannot be, `timeout` with what it waited for.
function k8s.rollout_status(ref, o)
  local c, namespace = cluster("k8s.rollout_status", o, { "timeout", "progress" })
  local resource, name = resource_of("k8s.rollout_status", ref)
  if not name or resource.api ~= "apps/v1" then
    fail("invalid", "k8s.rollout_status: name a deployment, a statefulset or a daemonset")
  end
  local waits
  local ok, e = pcall(require("tutti.host").timeout, o and o.timeout or "5m", function()
    watch_one(c, resource, namespace, name, function(object)
      waits = unfinished(object)
      if waits and o and o.progress then
        o.progress(waits)
      end
      return not waits
    end)
  end)
  if not ok then
    if type(e) == "table" and e.kind == "timeout" and waits then
      fail("timeout", "%s did not roll out in time: %s", ref, waits)
    end
    error(e, 0)
  end
end

-- --- pods ---

-- An environment, "ns/pod" or "pod", as client, namespace, pod and container.
local function pod_of(what, given, o, names)
  local c, namespace = cluster(what, o, names)
  local kind, ns, pod, container = client.parts(given)
  if kind == "k8s" then
    if not pod then
      given = client.resolved(given)
      kind, ns, pod, container = client.parts(given)
    end
    return client.k8s(given), ns, pod, container
  elseif kind or type(given) ~= "string" then
    fail("invalid", "%s: give a pod as \"namespace/pod\" or its environment", what)
  end
  ns, pod = given:match "^([^/]+)/([^/]+)$"
  return c, check_name(what, ns or namespace), check_pod(what, pod or given)
end

-- logs(pod[, { container =, follow =, previous =, since =, tail =, timestamps = }]): an iterator over
-- lines. since: seconds back, or an RFC 3339 time.
function k8s.logs(given, o)
  o = o or {}
  local c, namespace, pod, container = pod_of("k8s.logs", given, o,
    { "container", "follow", "previous", "since", "tail", "timestamps" })
  local query = {}
  local function add(name, value)
    if value ~= nil and value ~= false then
      query[#query + 1] = name .. "=" .. client.escape(tostring(value))
    end
  end
  add("container", o.container or container)
  add("follow", o.follow)
  add("previous", o.previous)
  add("timestamps", o.timestamps)
  add("tailLines", o.tail)
  if type(o.since) == "string" then
    add("sinceTime", o.since)
  else
    add("sinceSeconds", o.since)
  end
  local stream = c:open(("/api/v1/namespaces/%s/pods/%s/log?%s"):format(namespace, pod,
    table.concat(query, "&")))
  local held, over = "", false
  return function()
    while true do
      local line, rest = held:match "^([^\n]*)\n(.*)$"
      if line then
        held = rest
        return line
      end
      local bytes = not over and stream:read()
      if bytes then
        held = held .. bytes
      else
        over = true
        line, held = held ~= "" and held or nil, ""
        return line
      end
    end
  end, nil, nil, stream
end

-- forward(pod, port[, { local_port = }]): a port of this machine that leads to the pod's, while it is
-- open: f.port, f:close(), f:trouble() (why the last connection failed).
function k8s.forward(given, port, o)
  local c, namespace, pod = pod_of("k8s.forward", given, o, { "local_port" })
  if math.type(port) ~= "integer" or port < 1 or port > 65535 then
    fail("invalid", "k8s.forward: '%s' is no port", tostring(port))
  end
  local forward = c:forward(namespace, pod, port, o and o.local_port)
  return setmetatable({ port = forward:port() }, {
    __index = {
      close = function() forward:close() end,
      trouble = function() return forward:trouble() end,
    },
    __close = function() forward:close() end,
  })
end

return setmetatable(k8s, {
  __call = function(_, what)
    return env.k8s(what)
  end,
})
