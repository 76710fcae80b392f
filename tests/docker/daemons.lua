-- Which daemon is meant: DOCKER_HOST, contexts, TLS, podman's socket. And a registry beside it.
local t = require "spec"
local docker = require "_docker"
local tutti = require "tutti"
local host = tutti.docker

local unix = os.getenv "DOCKER_HOST"
local tls_host = os.getenv "TUTTI_TEST_DOCKER_TLS_HOST"
local certs = docker.dir .. "/tls"

-- Docker's own folder of settings, with these contexts: name = { Host =, SkipTLSVerify = }, tls = folder.
local function settings(contexts, current)
  local dir = t.tmpdir()
  t.write(dir .. "/config.json", tutti.json.encode { currentContext = current })
  for name, context in pairs(contexts) do
    local id = tutti.here:run { "sha256sum", stdin = name }.stdout:match "^%x+"
    tutti.here:run { "mkdir", "-p", dir .. "/contexts/meta/" .. id, dir .. "/contexts/tls/" .. id }
    t.write(dir .. "/contexts/meta/" .. id .. "/meta.json", tutti.json.encode { Name = name,
      Endpoints = { docker = { Host = context.Host, SkipTLSVerify = context.SkipTLSVerify or false } } })
    if context.tls then
      tutti.here:run { "cp", "-r", context.tls, dir .. "/contexts/tls/" .. id .. "/docker" }
    end
  end
  return dir
end

-- What a fresh tutti reaches with these variables: the daemon's images are ours, or its error's kind.
local function reached(vars, where)
  local script = t.tmpdir() .. "/a.lua"
  t.write(script, "local ok, e = pcall(require('tutti').docker.images, " .. (where or "nil") .. [[)
    if not ok then print(e.kind) return end
    for _, image in ipairs(e) do
      for _, tag in ipairs(image.tags) do if tag == "box:local" then print "ours" end end
    end]])
  local env = { DOCKER_HOST = "", DOCKER_CONTEXT = "", DOCKER_CONFIG = "/no/such", DOCKER_TLS_VERIFY = "",
    DOCKER_CERT_PATH = "" }
  for key, value in pairs(vars) do env[key] = value end
  return (t.tutti { "run", script, env = env }.stdout:gsub("\n$", ""))
end

t.describe("the daemon", function()
  t.it("is DOCKER_HOST's", function()
    t.eq(reached { DOCKER_HOST = unix }, "ours")
    t.eq(reached { DOCKER_HOST = "unix:///no/such" }, "connect")
    t.eq(reached({ DOCKER_HOST = "unix:///no/such" }, ("{ host = %q }"):format(unix)), "ours")
    t.eq(reached { DOCKER_HOST = "nonsense" }, "invalid")
    t.eq(reached { DOCKER_HOST = "ssh://host" }, "unsupported")
  end)
  t.it("over TCP is spoken to with TLS as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say", function()
    t.eq(reached { DOCKER_HOST = tls_host, DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = certs }, "ours")
    t.eq(reached { DOCKER_HOST = tls_host, DOCKER_TLS_VERIFY = "1", DOCKER_CONFIG = certs }, "ours")
    -- no certificate of ours; an authority that did not sign the daemon's; no TLS at all
    local bare = t.tmpdir()
    tutti.here:run { "cp", certs .. "/ca.pem", bare }
    t.ne(reached { DOCKER_HOST = tls_host, DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = bare }, "ours")
    local other = t.tmpdir()
    tutti.here:run { sh = [[cp "$C/cert.pem" "$C/key.pem" .
      openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout k.pem -out ca.pem 2>&1]],
      cwd = other, env = { C = certs } }
    t.ne(reached { DOCKER_HOST = tls_host, DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = other }, "ours")
    t.ne(reached { DOCKER_HOST = tls_host }, "ours")
  end)
  t.it("is the one of the context that is named, or the current one", function()
    local folder = settings({
      here = { Host = unix }, away = { Host = "unix:///no/such" }, ["over tls"] = { Host = tls_host, tls = certs },
      plain = { Host = tls_host },
    }, "here")
    t.eq(reached { DOCKER_CONFIG = folder }, "ours")
    t.eq(reached { DOCKER_CONFIG = folder, DOCKER_CONTEXT = "away" }, "connect")
    t.eq(reached { DOCKER_CONFIG = folder, DOCKER_CONTEXT = "over tls" }, "ours")
    t.ne(reached { DOCKER_CONFIG = folder, DOCKER_CONTEXT = "plain" }, "ours")
    t.eq(reached { DOCKER_CONFIG = folder, DOCKER_CONTEXT = "none" }, "not_found")
    t.eq(reached { DOCKER_CONFIG = folder, DOCKER_HOST = "unix:///no/such" }, "connect", "the host goes first")
    t.eq(reached({ DOCKER_CONFIG = folder, DOCKER_HOST = "unix:///no/such" }, "{ context = 'here' }"), "ours")
    t.eq(reached({ DOCKER_CONFIG = folder }, "{ context = 'away' }"), "connect")
    t.write(folder .. "/config.json", "nonsense")
    t.ne(reached { DOCKER_CONFIG = folder }, "ours")
    folder = settings({ away = { Host = "unix:///no/such" } }, "away")
    t.eq(reached { DOCKER_CONFIG = folder, HOME = folder }, "connect")
  end)
  t.it("is podman's where there is no other socket", function()
    if t.exists "/var/run/docker.sock" or tutti.here:stat "/var/run/docker.sock" then
      t.eq(reached { DOCKER_HOST = unix }, "ours")
      return
    end
    local runtime = t.tmpdir()
    tutti.here:run { "mkdir", runtime .. "/podman" }
    tutti.here:run { "ln", "-s", unix:match "^unix://(.*)", runtime .. "/podman/podman.sock" }
    t.eq(reached { XDG_RUNTIME_DIR = runtime, HOME = runtime }, "ours")
  end)
end)

t.describe("an option of a container", function()
  t.it("is what the daemon is told, each of them", function()
    local dir = t.tmpdir()
    local function at(table, path)
      for key in path:gmatch "[^.]+" do table = table[tonumber(key) or key] end
      return table
    end
    local cases = {
      { { env = { A = "a $b" } }, "Config.Env.1", "A=a $b" },
      { { volumes = { dir .. ":/v:ro" } }, "HostConfig.Binds.1", dir .. ":/v:ro" },
      { { network = "none" }, "HostConfig.NetworkMode", "none" },
      { { ports = { "127.0.0.1::80" } }, "HostConfig.PortBindings.80/tcp.1.HostIp", "127.0.0.1" },
      { { ports = { "53/udp" } }, "Config.ExposedPorts.53/udp", {} },
      { { user = "user" }, "Config.User", "user" },
      { { workdir = "/etc" }, "Config.WorkingDir", "/etc" },
      { { entrypoint = { "/bin/sleep", "9" } }, "Config.Entrypoint", { "/bin/sleep", "9" } },
      { { platform = "linux/amd64" }, "Platform", "linux" },
      { { memory = "32MiB" }, "HostConfig.Memory", 32 << 20 },
      { { cpus = 0.25 }, "HostConfig.NanoCpus", 250000000 },
      { { labels = { a = "b" } }, "Config.Labels.a", "b" },
      { { keep = true }, "HostConfig.AutoRemove", false },
      { { keep = false }, "HostConfig.AutoRemove", true },
    }
    for _, case in ipairs(cases) do
      local options, path, want = table.unpack(case)
      local name = docker.name()
      options.image, options.name, options.pull = "box:local", name, "never"
      t.cleanup(function() pcall(host.remove, name, { force = true }) end)
      local env = host(options)
      env:run "true"
      t.eq(at(host.inspect(env), path), want, path)
      t.eq(at(host.inspect(name), path), want, path)
    end
    local r = host { image = "box:local", pull = "never", platform = "linux/arm64" }:try "true"
    t.eq({ r.ok, r.code }, { false })
    t.match(t.raises("invalid", function() host { image = "x", memroy = 1 } end).message, "memory")
    t.match(t.raises("invalid", function() host { image = "x", volume = {} } end).message, "volumes")
  end, { timeout = 120 })
end)

t.describe("a registry", function()
  local started = tutti.here:try { os.getenv "TUTTI_TOP" .. "/tests/support/dockerd", "registry", docker.dir }
  local address = started.stdout:gsub("\n", "")

  -- Tags an image of ours for the registry, and pushes it.
  local function publish(image, name)
    docker.api("POST", ("/images/%s/tag?repo=%s/%s&tag=1"):format(image, address, name))
    t.has(docker.support("api", "POST", ("/images/%s/%s/push?tag=1"):format(address, name), "-H",
      "X-Registry-Auth: e30="), "digest")
    docker.api("DELETE", ("/images/%s/%s:1?force=1"):format(address, name))
  end
  local function forget(name)
    t.cleanup(function()
      tutti.here:try { os.getenv "TUTTI_TOP" .. "/tests/support/dockerd", "api", docker.dir, "DELETE",
        ("/images/%s/%s:1?force=1"):format(address, name) }
    end)
  end

  t.it("is pulled from, and the pull tells how it goes", function()
    if started.code == 77 then t.skip(address) end
    t.eq(started.code, 0, started.stderr)
    -- an image with a layer that the daemon does not have
    local dir = t.tmpdir()
    tutti.here:run { sh = "head -c 6000000 /dev/urandom >f", cwd = dir }
    t.write(dir .. "/Dockerfile", "FROM box:local\nCOPY f /f\n")
    host.build { path = dir, tag = "spec-pulled:1" }
    publish("spec-pulled:1", "spec/pulled")
    docker.api("DELETE", "/images/spec-pulled:1?force=1")
    forget "spec/pulled"
    local image, statuses, bytes = address .. "/spec/pulled:1", {}, 0
    host.pull(image, { progress = function(status, _, done, total)
      statuses[status] = true
      if done and total and total > 5000000 then bytes = math.max(bytes, done) end
    end })
    t.ok(statuses["Pull complete"] or statuses["Download complete"], t.show(statuses))
    t.ok(bytes > 0, "bytes were counted")
    t.eq(host { image = image, pull = "never" }:run "wc -c </f".stdout, "6000000\n")
    t.raises("not_found", function() host.pull(address .. "/spec/none:1") end)
  end, { timeout = 120 })
  t.it("is asked when the image is missing, always, or never", function()
    if started.code == 77 then t.skip(address) end
    local image = address .. "/spec/policy:1"
    forget "spec/policy"
    publish("box:local", "spec/policy")
    t.eq(host { image = image, pull = "never" }:try "true".kind, "not_found")
    t.eq(host { image = image }:run "echo there".stdout, "there\n")
    -- another image under the same name
    publish("noshell:local", "spec/policy")
    docker.api("POST", ("/images/box:local/tag?repo=%s/spec/policy&tag=1"):format(address))
    t.eq(host { image = image }:run "echo there".stdout, "there\n", "what is here is taken")
    t.eq(host { image = image, pull = "always" }:try "echo hi".kind, "not_found", "the newer one has no shell")
    t.eq(host { image = image, pull = "always" }:run { "/echo", "new" }.stdout, "new\n")
  end, { timeout = 120 })
end)

t.done()
