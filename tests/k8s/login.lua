-- Who one is in a cluster: credential plugins, tokens in files, client certificates, a pod's own account.
local t = require "spec"
local kube = require "_kube"
local tutti = require "tutti"
local k8s = tutti.k8s

local v1 = "client.authentication.k8s.io/v1"
local later, soon = "2099-01-01T00:00:00Z", "2001-01-01T00:00:00+02:00"

-- A plugin: a script whose n-th run prints the n-th of these texts (the last one from then on) and whose
-- runs are counted. Returns the kubeconfig and what counts.
local function plugin(said, more, script)
  local dir = t.tmpdir()
  for i, text in ipairs(said) do t.write(dir .. "/said." .. i, text) end
  t.write(dir .. "/runs", "")
  t.write(dir .. "/plugin", "#!/bin/sh\ncd " .. dir .. "\necho run >>runs\nn=$(wc -l <runs)\n"
    .. (script or "") .. "\n[ -e said.$n ] || n=" .. #said .. "\ncat said.$n\n")
  tutti.here:run { "chmod", "755", dir .. "/plugin" }
  local exec = { apiVersion = v1, command = dir .. "/plugin", interactiveMode = "Never" }
  for key, value in pairs(more or {}) do exec[key] = value end
  local function runs() return select(2, t.slurp(dir .. "/runs"):gsub("\n", "")) end
  return kube.config { exec = exec }, runs, dir
end

local function credential(status, version)
  return tutti.json.encode { apiVersion = version or v1, kind = "ExecCredential", status = status }
end

local function good(expires) return credential { token = kube.token(), expirationTimestamp = expires } end

-- The three ways in which a cluster is spoken to: a call, an exec, a reply that streams.
local function use(config, pod)
  k8s.get("pod/" .. pod, { kubeconfig = config })
  t.eq(k8s { kubeconfig = config, pod = pod }:run "echo in".stdout, "in\n")
  for _ in k8s.logs(pod, { kubeconfig = config }) do end
end

t.describe("a credential plugin", function()
  local pod = kube.name "login"
  kube.support("pod", pod)

  t.it("is given its arguments, its variables and what is asked, and is run once", function()
    local config, runs, dir = plugin({ good(later) }, {
      args = tutti.json.array { "a b", "$HOME", "" }, provideClusterInfo = true,
      env = tutti.json.array { { name = "PLUGIN_VAR", value = "it's \"quoted\" $x" } },
    }, [[printf '%s\n' "$#" "$@" "$PLUGIN_VAR" >seen; printf %s "$KUBERNETES_EXEC_INFO" >info]])
    for _ = 1, 3 do use(config, pod) end
    t.eq(runs(), 1)
    t.eq(t.slurp(dir .. "/seen"), "3\na b\n$HOME\n\nit's \"quoted\" $x\n")
    local info = tutti.json.decode(t.slurp(dir .. "/info"))
    t.eq({ info.apiVersion, info.kind, info.spec.interactive }, { v1, "ExecCredential", false })
    t.match(info.spec.cluster.server, "^https://")
    t.ok(#info.spec.cluster["certificate-authority-data"] > 100, "the authority")
  end)
  t.it("named by a relative path is one beside the kubeconfig", function()
    local config = kube.config { exec = { apiVersion = v1, command = "./beside" } }
    t.write(config:gsub("[^/]+$", "beside"), "#!/bin/sh\ncat <<'END'\n" .. good() .. "\nEND\n")
    tutti.here:run { "chmod", "755", (config:gsub("[^/]+$", "beside")) }
    use(config, pod)
  end)
  t.it("is run again when what it gave has expired", function()
    local config, runs = plugin { good(soon), good(soon), good(later) }
    k8s.get("pod/" .. pod, { kubeconfig = config })
    local env = k8s { kubeconfig = config, pod = pod }
    t.eq(env:run "echo 1".stdout, "1\n")
    local before = runs()
    t.ok(before >= 2, "it expired at once: " .. before)
    env:run "true"
    local after = math.max(runs(), 3)
    for _ = 1, 3 do env:run "true" end
    t.eq(runs(), after, "what lasts is kept")
  end)
  t.it("is run again when the cluster refuses what it gave", function()
    for _, way in ipairs {
      function(config) k8s.get("pod/" .. pod, { kubeconfig = config }) end,
      function(config) t.eq(k8s { kubeconfig = config, pod = pod }:run "echo in".stdout, "in\n") end,
      function(config) for _ in k8s.logs(pod, { kubeconfig = config }) do end end,
    } do
      local config, runs = plugin { credential { token = "stale" }, good() }
      way(config)
      t.eq(runs(), 2)
    end
  end)
  t.it("that only ever gives what is refused is auth, not a loop", function()
    local config, runs = plugin { credential { token = "wrong" } }
    t.raises("auth", function() k8s.get("pod/" .. pod, { kubeconfig = config }) end)
    t.eq(runs(), 2)
    local r = k8s { kubeconfig = config, pod = pod }:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "auth" })
  end)
  t.it("that fails is auth, with what it said", function()
    local config = plugin({ "" }, {}, "echo 'the card is not in the reader' >&2; exit 3")
    t.has(t.raises("auth", function() k8s.get("pods", { kubeconfig = config }) end).message, "the credential plugin")
    local r = k8s { kubeconfig = config, pod = pod }:try "true"
    t.eq({ r.ok, r.kind, r.code }, { false, "auth" })
    t.has(r.message, "the card is not in the reader")
  end)
  t.it("that is not there is auth, with its hint", function()
    local config = plugin({ "" }, { command = "/no/such/plugin", installHint = "get it from the shop" })
    t.has(tostring(t.raises("auth", function() k8s.get("pods", { kubeconfig = config }) end)), "get it from the shop")
  end)
  t.it("that says nothing useful is auth", function()
    for _, said in ipairs {
      "nonsense", "{}", credential {}, credential { clientCertificateData = "x" },
      credential({ token = kube.token() }, "client.authentication.k8s.io/v1beta1"),
      credential { clientCertificateData = "no pem", clientKeyData = "no pem" },
    } do
      local config = plugin { said }
      local e = t.raises(nil, function() k8s.get("pods", { kubeconfig = config }) end)
      t.ok(e.kind == "auth" or e.kind == "invalid", said .. ": " .. tostring(e.kind))
    end
  end)
  t.it("of an unknown version, or that has to ask somebody, is refused before it is run", function()
    for _, more in ipairs {
      { apiVersion = "client.authentication.k8s.io/v1alpha1" }, { apiVersion = "v1" },
      { interactiveMode = "Always" },
    } do
      local config, runs = plugin({ good() }, more)
      t.raises("unsupported", function() k8s.get("pods", { kubeconfig = config }) end)
      t.eq(runs(), 0)
    end
    t.raises("invalid", function()
      k8s.get("pods", { kubeconfig = kube.config { exec = { apiVersion = v1 } } })
    end)
  end)
  t.it("of the version before speaks that", function()
    local v1beta1 = "client.authentication.k8s.io/v1beta1"
    local config = plugin({ credential({ token = kube.token() }, v1beta1) }, { apiVersion = v1beta1 })
    use(config, pod)
  end)
  t.it("that hangs ends with whoever waits for it", function()
    local config = plugin({ good() }, {}, "exec sleep " .. kube.sleep())
    local from = tutti.now()
    t.raises("timeout", function()
      tutti.timeout("1s", function() k8s.get("pods", { kubeconfig = config }) end)
    end)
    t.between(tutti.now() - from, 1, 20, "bounded")
  end)

  t.it("may give a client certificate, and another one later", function()
    local port = kube.support("cert-api"):match "%d+"
    local certs = kube.dir .. "/cert-api"
    local server = { server = "https://127.0.0.1:" .. port }
    -- as files of the kubeconfig
    local config = kube.config({ ["client-certificate"] = certs .. "/admin.crt",
      ["client-key"] = certs .. "/admin.key" }, server)
    use(config, pod)
    t.raises("auth", function() k8s.get("pods", { kubeconfig = kube.config({ token = "no" }, server) }) end)
    -- from a plugin, first one that the cluster does not take
    local function given(name)
      return credential { clientCertificateData = t.slurp(certs .. "/" .. name .. ".crt"),
        clientKeyData = t.slurp(certs .. "/" .. name .. ".key") }
    end
    local _, runs, dir = plugin { given "stranger", given "admin" }
    config = kube.config({ exec = { apiVersion = v1, command = dir .. "/plugin" } }, server)
    use(config, pod)
    t.eq(runs(), 2)
  end, { timeout = 120 })

  kube.support("unpod", pod)
end)

t.describe("a token in a file", function()
  t.it("is read again when the cluster refuses it", function()
    local path = t.tmpdir() .. "/token"
    t.write(path, kube.token() .. "\n")
    local config = kube.config { tokenFile = path }
    k8s.get("namespace/default", { kubeconfig = config })
    t.write(path, "revoked")
    k8s.get("namespace/default", { kubeconfig = config }) -- what is known to be good is used
    local wrong = t.tmpdir() .. "/token"
    t.write(wrong, "old")
    config = kube.config { tokenFile = wrong }
    t.raises("auth", function() k8s.get("namespace/default", { kubeconfig = config }) end)
    t.write(wrong, kube.token())
    k8s.get("namespace/default", { kubeconfig = config })
  end)
  t.it("that is missing is auth", function()
    local config = kube.config { tokenFile = "/no/such/token" }
    t.raises("auth", function() k8s.get("namespace/default", { kubeconfig = config }) end)
  end)
end)

-- tutti itself in a pod: its libraries and its folder are mounted from this machine, the account's token is
-- one that the cluster issued for the pod.
local function inside(name)
  local function folder(path) return { hostPath = { path = path, type = "Directory" } } end
  local volumes, mounts = tutti.json.array {}, tutti.json.array {}
  local function mount(path, volume)
    local id = "v" .. #volumes
    volume.name = id
    volumes[#volumes + 1] = volume
    mounts[#mounts + 1] = { name = id, mountPath = path, readOnly = true }
  end
  mount("/lib", folder "/usr/lib")
  mount("/lib64", folder "/usr/lib64")
  mount("/usr/lib", folder "/usr/lib")
  mount("/tutti", folder(os.getenv "TUTTI":match "^(.*)/"))
  mount("/var/run/secrets/kubernetes.io/serviceaccount", { projected = { sources = tutti.json.array {
    { serviceAccountToken = { path = "token", expirationSeconds = 600 } },
    { configMap = { name = name .. "-root", items = tutti.json.array { { key = "ca.crt", path = "ca.crt" } } } },
    { downwardAPI = { items = tutti.json.array {
      { path = "namespace", fieldRef = { fieldPath = "metadata.namespace" } } } } },
  } } })
  return {
    apiVersion = "v1", kind = "Pod", metadata = { name = name },
    spec = {
      hostNetwork = true, terminationGracePeriodSeconds = 0, serviceAccountName = name, volumes = volumes,
      containers = { { name = "main", image = "box:local", volumeMounts = mounts,
        command = { "/bin/sh", "-c", "exec sleep 1000000" },
        env = { { name = "KUBERNETES_SERVICE_HOST", value = "127.0.0.1" },
          { name = "KUBERNETES_SERVICE_PORT", value = "16443" },
          { name = "ASAN_OPTIONS", value = "detect_leaks=0" } } } },
    },
  }
end

t.describe("inside a cluster", function()
  t.it("a pod speaks as its own account, to its own namespace", function()
    local name, space = kube.name "inside", kube.name "space"
    local where = kube.with { namespace = space }
    t.cleanup(function() k8s.delete("namespace/" .. space, kube.with { missing_ok = true }) end)
    k8s.apply({ apiVersion = "v1", kind = "Namespace", metadata = { name = space } }, kube.with())
    k8s.apply({
      { apiVersion = "v1", kind = "ServiceAccount", metadata = { name = name } },
      { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name .. "-root" },
        data = { ["ca.crt"] = t.slurp(kube.dir .. "/node/certs/apiserver.crt") } },
      { apiVersion = "rbac.authorization.k8s.io/v1", kind = "Role", metadata = { name = name },
        rules = { { apiGroups = { "" }, resources = { "pods", "pods/exec" }, verbs = { "get", "list", "create" } } } },
      { apiVersion = "rbac.authorization.k8s.io/v1", kind = "RoleBinding", metadata = { name = name },
        roleRef = { apiGroup = "rbac.authorization.k8s.io", kind = "Role", name = name },
        subjects = { { kind = "ServiceAccount", name = name, namespace = space } } },
      inside(name),
    }, where)
    local env = k8s(kube.with { namespace = space, pod = name })
    kube.eventually(function() return env:try "true".ok end, "the pod runs")
    local script = [[
      local tutti = require "tutti"
      local me = tutti.k8s { pod = "NAME" }
      print(me, me:run("hostname && cat /proc/1/cmdline | tr '\\0' ' '"))
      print(#tutti.k8s.get "pods")
      print(select(2, pcall(tutti.k8s.get, "secrets")).kind) ]]
    env:write("/tmp/in.lua", (script:gsub("NAME", name)))
    local r = env:run { "/tutti/tutti", "run", "/tmp/in.lua", timeout = "60s" }
    t.match(r.stdout, "^k8s://" .. space:gsub("%p", "%%%0") .. "/" .. name:gsub("%p", "%%%0") .. "\t")
    t.match(r.stdout, "sleep 1000000 \n1\npermission\n$")
  end, { timeout = 120 })
end)

t.done()
