-- One release across four kinds of environment: a server is built here, an image of it is built by
-- Docker, it is staged and tested on an SSH host, and released to a Kubernetes deployment. When
-- anything fails, the deployment and the host go back to what they ran before.
--
--   STAGING=deploy@staging.example.com KUBE_CONTEXT=production \
--     tutti run scripts/examples/hybrid.lua -p version=1.1.0 -p image=registry.example.com/greeter \
--       -p publish='docker push "$IMAGE"'
--
-- The host needs nothing but a shell and tar; the image is made from `base`. `-p fail=STEP` makes a
-- step fail after it did its work, to see what is rolled back where.

local tutti = require "tutti"
local docker, k8s = tutti.docker, tutti.k8s

local staging = tutti.env(os.getenv "STAGING" or "ssh://localhost")
local cluster = { context = os.getenv "KUBE_CONTEXT", namespace = os.getenv "KUBE_NAMESPACE" or "default" }

local flow = tutti.workflow("hybrid", { description = "here, Docker, SSH and Kubernetes in one release" })
flow:params {
  version = { type = "string", default = "1.0.0" },
  image = { type = "string", default = "greeter", description = "the image's name, without a tag" },
  base = { type = "string", default = "busybox", description = "what the image is made from" },
  publish = { type = "string", default = "true", description = "brings $IMAGE to where the cluster finds it" },
  fail = { type = "string", default = "none", description = "the step that fails after its work" },
}
local task = flow.task

local function image_of(ctx)
  return ctx.params.image .. ":" .. ctx.params.version
end

-- A function that does its work and then fails when -p fail names it.
local function step(name, work)
  return function(ctx)
    local value = work(ctx)
    if ctx.params.fail == name then
      error(name .. " was told to fail")
    end
    return value
  end
end

local function deployment(image)
  return {
    apiVersion = "apps/v1", kind = "Deployment", metadata = { name = "greeter" },
    spec = {
      replicas = 1, progressDeadlineSeconds = 60,
      selector = { matchLabels = { app = "greeter" } },
      template = {
        metadata = { labels = { app = "greeter" } },
        spec = {
          terminationGracePeriodSeconds = 0,
          containers = {
            {
              name = "greeter", image = image, imagePullPolicy = "IfNotPresent",
              command = { "/greeter", "/tmp/port" },
              readinessProbe = { exec = { command = { "sh", "-c", "/get $(cat /tmp/port) /health" } },
                periodSeconds = 1 },
            },
          },
        },
      },
    },
  }
end

local function roll_out(image)
  k8s.apply(deployment(image), cluster)
  k8s.rollout_status("deployment/greeter", { timeout = "2m", context = cluster.context,
    namespace = cluster.namespace })
end

task "build" {
  run = [[
    mkdir -p build/hybrid
    cc -O2 -static -DVERSION="\"$PARAM_version\"" -o build/hybrid/greeter greeter/greeter.c
    cc -O2 -static -o build/hybrid/get greeter/get.c
    printf 'FROM %s\nCOPY greeter get /\n' "$PARAM_base" >build/hybrid/Dockerfile
    [ "$PARAM_fail" != build ]
  ]],
  output = { "build/hybrid/*", "greeter/release" },
}

task "image" {
  needs = "build",
  run = step("image", function(ctx)
    return { id = docker.build { path = ctx.env:run("pwd"):lines()() .. "/build/hybrid", tag = image_of(ctx) } }
  end),
}

task "publish" {
  needs = "image",
  run = 'export IMAGE="$PARAM_image:$PARAM_version"; eval "$PARAM_publish" && [ "$PARAM_fail" != publish ]',
}

task "stage" {
  needs = "build", on = staging,
  input = { "build/hybrid/*", "greeter/release" },
  run = [[
    tar czf build/hybrid.tar.gz -C build/hybrid greeter
    greeter/release start staging build/hybrid.tar.gz "$PARAM_version"
    [ "$PARAM_fail" != stage ]
  ]],
  health = { run = 'build/hybrid/get "$(cat staging/port)" /health', retries = 30, interval = "200ms" },
  rollback = "greeter/release back staging",
}

task "test" {
  needs = "stage", on = staging,
  run = step("test", function(ctx)
    local port = ctx.env:read("staging/port"):match "%d+"
    local answers = tutti.map({ "/version", "/greet?you" }, function(path)
      return tostring(ctx.env:run { "build/hybrid/get", port, path })
    end)
    if answers[1] ~= ctx.params.version or answers[2] ~= "hello, you" then
      error("the staged server answers " .. table.concat(answers, ", "))
    end
    return { passed = #answers }
  end),
}

task "current" {
  needs = { "publish", "test" },
  run = step("current", function()
    local ok, found = pcall(k8s.get, "deployment/greeter", cluster)
    if not ok and found.kind ~= "not_found" then
      error(found)
    end
    return { image = ok and found.spec.template.spec.containers[1].image or nil }
  end),
}

task "release" {
  needs = "current",
  run = step("release", function(ctx)
    roll_out(image_of(ctx))
    return { image = image_of(ctx) }
  end),
  rollback = { timeout = "3m", run = function(ctx)
    local before = ctx.results.current.image
    if before then
      roll_out(before)
    else
      k8s.delete("deployment/greeter", cluster)
    end
  end },
}

task "verify" {
  needs = "release",
  run = step("verify", function(ctx)
    local pod = tutti.k8s { context = cluster.context, namespace = cluster.namespace, deployment = "greeter" }
    local version = tostring(pod:run { sh = "/get $(cat /tmp/port) /version" })
    if version ~= ctx.params.version then
      error(("the deployment answers %s, not %s"):format(version, ctx.params.version))
    end
    return { version = version }
  end),
}

return flow
