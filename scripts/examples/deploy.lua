-- Builds a small HTTP server, packages it, deploys it to a staging directory, checks and tests it
-- there, and promotes it. Everything happens on this machine, below scripts/examples/build.
--
--   tutti run scripts/examples/deploy.lua
--   tutti run scripts/examples/deploy.lua -p version=1.1.0
--   tutti run scripts/examples/deploy.lua -p break=true      fails after the deployment, rolls back
--
-- or, built here, on other machines, which need nothing but a shell, tar and gzip:
--
--   STAGING=ssh://deploy@staging PRODUCTION=ssh://deploy@web-1 tutti run scripts/examples/deploy.lua

local tutti = require "tutti"

local staging = tutti.env(os.getenv "STAGING" or "local:")
local production = tutti.env(os.getenv "PRODUCTION" or "local:")

local flow = tutti.workflow "deploy"
flow:params {
  version = { type = "string", default = "1.0.0" },
  ["break"] = { type = "boolean", default = false },
}
local task = flow.task

-- What a running release answers; `site` is staging or production.
local function get(ctx, site, path)
  local port = ctx.env:read("build/" .. site .. "/port")
  return tostring(ctx.env:run { "build/get", (port:gsub("%s", "")), path })
end

task "server" {
  run = [[
    mkdir -p build
    [ "$PARAM_break" = true ] && greeting=goodbye || greeting=hello
    cc -O2 -static -DVERSION="\"$PARAM_version\"" -DGREETING="\"$greeting\"" -o build/greeter greeter/greeter.c
  ]],
  output = "build/greeter",
}

task "client" {
  run = "mkdir -p build && cc -O2 -static -o build/get greeter/get.c",
  output = { "build/get", "greeter/release" },
}

task "package" {
  needs = "server",
  input = "build/greeter",
  run = "tar czf build/greeter.tar.gz -C build greeter",
  output = "build/*.tar.gz",
}

task "stage" {
  needs = { "package", "client" }, on = staging,
  input = { "build/*.tar.gz", "build/get", "greeter/release" },
  run = "greeter/release start build/staging build/greeter.tar.gz \"$PARAM_version\"",
  health = { run = "build/get \"$(cat build/staging/port)\" /health", retries = 20, interval = "100ms" },
  rollback = "greeter/release back build/staging",
}

task "verify" {
  needs = "stage", on = staging,
  run = function(ctx)
    local tests = {
      { "/version", ctx.params.version },
      { "/greet?you", "hello, you" },
      { "/greet?%24(id)", "hello, %24(id)" },
    }
    tutti.map(tests, function(test)
      local path, expected = table.unpack(test)
      local got = get(ctx, "staging", path)
      if got ~= expected then
        error(("GET %s: expected %q, got %q"):format(path, expected, got))
      end
    end, { parallel = 2 })
    return { passed = #tests }
  end,
}

task "promote" {
  needs = "verify", on = production,
  input = { "build/*.tar.gz", "build/get", "greeter/release" },
  when = function(ctx) return ctx.results.verify.passed > 0 end,
  run = "greeter/release start build/production build/greeter.tar.gz \"$PARAM_version\"",
  health = { run = "build/get \"$(cat build/production/port)\" /health", retries = 20, interval = "100ms" },
  rollback = "greeter/release back build/production",
}

task "tidy" {
  needs = "promote", on = staging,
  run = "greeter/release stop build/staging",
}

return flow
