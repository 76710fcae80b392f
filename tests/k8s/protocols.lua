-- The exec's sub-protocols: v5.channel.k8s.io, which can close stdin alone, before v4, which cannot.
local t = require "spec"
local kube = require "_kube"
local tutti = require "tutti"

-- A pod without a shell of an API that chooses this protocol; `heard` tells what that API saw.
local function pod_at(protocol)
  local server = tutti.here:spawn { "python3", os.getenv "TUTTI_TOP" .. "/tests/support/ws-exec.py", protocol,
    stdin = false }
  t.cleanup(function()
    server:kill "KILL"
    server:wait()
  end)
  local port = server:lines()()
  local config = kube.config({ token = "any" }, { server = "http://127.0.0.1:" .. port })
  return tutti.k8s { kubeconfig = config, pod = "p" }, server:lines "stderr"
end

t.describe("the exec's protocol", function()
  t.it("is v5 where the API speaks it: a command without a shell gets its stdin, and the end of it", function()
    local env, heard = pod_at "v5.channel.k8s.io"
    t.eq(env:run { "/cat", stdin = "in\0out" }.stdout, "in\0out")
    t.eq(heard(), "v5.channel.k8s.io, v4.channel.k8s.io | /bin/sh | nothing", "v5 is asked for first")
    t.eq(heard(), "v5.channel.k8s.io, v4.channel.k8s.io | /cat | channel 255 0")
    t.eq(env:run { "/cat" }.stdout, "")
    t.eq(heard(), "v5.channel.k8s.io, v4.channel.k8s.io | /cat | nothing")
  end)
  t.it("is v4 where the API speaks only that: such a command's stdin is refused before it runs", function()
    local env, heard = pod_at "v4.channel.k8s.io"
    t.eq(env:run { "/cat" }.stdout, "")
    heard()
    heard()
    local e = t.raises("unsupported", function() env:try { "/cat", stdin = "x" } end)
    t.has(e.message, "v5.channel.k8s.io")
    t.eq(env:run { "/cat" }.stdout, "")
    t.eq(heard(), "v5.channel.k8s.io, v4.channel.k8s.io | /cat | nothing", "nothing ran in between")
  end)
  t.it("that nobody offered is refused", function()
    local env = pod_at "v3.channel.k8s.io"
    t.has(t.raises("unsupported", function() env:try { "/cat" } end).message, "v3.channel.k8s.io")
  end)
  t.it("half-closes stdin on the real API whichever it speaks", function()
    local env = tutti.k8s(kube.with { pod = kube.pod() })
    local p = env:spawn "cat; echo end"
    p:write "some"
    p:close_stdin()
    local all = ""
    for line in p:lines() do all = all .. line .. ";" end
    t.eq(all, "someend;")
    t.ok(p:wait().ok)
  end)
end)

t.done()
