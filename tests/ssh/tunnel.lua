-- Tunnels: what goes through, how they end. What is reached through them is the server itself.
local t = require "spec"
local tutti = require "tutti"
local ssh = require "_ssh"

local function through(port, options)
  local known = t.tmpdir() .. "/known_hosts"
  local all = { port = port, known_hosts = known, host_key = "accept-new", connect_timeout = "5s" }
  for name, value in pairs(options or {}) do all[name] = value end
  return ssh.env(all)
end

-- Two ends that send each other 1000000 bytes. Whoever is first ends its output before it reads; the
-- other reads to the end before it sends.
local perl = [[use IO::Socket::INET; use Socket qw(SHUT_WR);
  my ($role, $first, $port) = @ARGV; $| = 1; my $s;
  if ($role eq "server") {
    my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:0", Listen => 1) or die; print $l->sockport, "\n";
    $s = $l->accept;
  } else { $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die; }
  sub say_all { print $s "x" x 1000000; $s->flush; shutdown($s, SHUT_WR); }
  sub hear_all { my $n = 0; while (sysread($s, my $b, 65536)) { $n += length $b } print "$n bytes, then the end\n"; }
  if ($role eq $first) { say_all; hear_all } else { hear_all; say_all }]]

t.describe("a tunnel", function()
  local env = ssh.env()
  for _, reverse in ipairs { false, true } do
    local kind = reverse and "from there to here" or "from here to there"
    t.it(kind .. " carries everything, on any free port", function()
      local tunnel <close> = env:tunnel { to = "127.0.0.1:" .. ssh.port, reverse = reverse }
      t.ok(tunnel.port > 0 and tunnel.open)
      local far = through(tunnel.port)
      t.eq(far:run("id -un").stdout, ssh.user .. "\n")
      local data = ("0123456789abcdef"):rep(65536 * 4)
      t.ok(far:run({ "cat", stdin = data }).stdout == data)
      local results = tutti.map({ 1, 2, 3, 4 }, function(i)
        return through(tunnel.port):run("head -c 300000 /dev/zero | tr '\\0' %s", tostring(i)).stdout
      end, { parallel = 4 })
      for i = 1, 4 do t.ok(results[i] == tostring(i):rep(300000)) end
    end)
    t.it(kind .. " is closed by close, with its connections", function()
      local tunnel = env:tunnel { from = 0, to = ssh.port, reverse = reverse }
      local far = through(tunnel.port)
      local p = far:spawn "echo ready; sleep 88030"
      t.eq(p:read(), "ready\n")
      tutti.sleep "300ms" -- its guardian is there
      tunnel:close()
      tunnel:close()
      t.eq(tunnel.open, false)
      t.eq(p:wait().kind, "lost")
      t.raises("connect", function() through(tunnel.port, { connect_timeout = "1s" }):run "true" end)
      ssh.eventually(function() return ssh.count "sleep 88030" == 0 end, 3)
    end)
    t.it(kind .. " ends with the task that opened it", function()
      local port
      tutti.all { function()
        local tunnel = env:tunnel { to = ssh.port, reverse = reverse }
        port = tunnel.port
        t.ok(through(port):run("true").ok)
      end }
      t.raises("connect", function() through(port, { connect_timeout = "1s" }):run "true" end)
    end)
  end
  for _, reverse in ipairs { false, true } do
    local kind = reverse and "from there to here" or "from here to there"
    t.it(kind .. " passes a half-close on, either way", function()
      -- who ends its own output first still hears the other to its end
      for _, first in ipairs { "client", "server" } do
        local server = tutti.here:spawn { "perl", "-e", perl, "server", first, stdin = false }
        local tunnel <close> = env:tunnel { to = tonumber(server:read()), reverse = reverse }
        local r = tutti.here:run { "perl", "-e", perl, "client", first, tostring(tunnel.port), timeout = "20s" }
        t.eq(r.stdout, "1000000 bytes, then the end\n")
        t.eq(server:read(), "1000000 bytes, then the end\n")
        t.eq(server:wait().ok, true)
      end
    end)
  end
  t.it("waits quietly while no descriptors are left, and goes on when there are", function()
    local dir = t.tmpdir()
    t.write(dir .. "/run.lua", ([[
      local tutti = require "tutti"
      local env = tutti.ssh { host = "127.0.0.1", port = %d, user = %q, key = %q, known_hosts = %q, config = false,
        agent = false }
      local tunnel = env:tunnel { to = %d }
      print(tunnel.port .. " " .. io.open("/proc/self/stat"):read("n"))
      tutti.sleep(60)]]):format(ssh.port, ssh.user, ssh.dir .. "/id_ed25519", ssh.dir .. "/known_hosts", ssh.port))
    local p = tutti.here:spawn { sh = { "ulimit -n 48; exec %s run %s", os.getenv "TUTTI", dir .. "/run.lua" },
      stdin = false }
    local port, pid = p:read():match "(%d+) (%d+)"
    port = tonumber(port)
    local function used() -- CPU seconds
      local user, system = t.slurp("/proc/" .. pid .. "/stat"):match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
      return (user + system) / 100
    end
    local crowd = tutti.here:spawn { "perl", "-e", [[use IO::Socket::INET;
      my @held = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]") } 1 .. 60;
      $| = 1; print "held\n"; <STDIN>]], tostring(port) }
    t.eq(crowd:read(), "held\n")
    tutti.sleep "500ms"
    local before = used()
    tutti.sleep "1s"
    t.ok(used() - before < 0.4, "it is busy with nothing")
    crowd:close_stdin()
    crowd:wait()
    t.ok(through(port, { connect_timeout = "20s" }):run("true").ok)
    p:kill()
    p:wait()
  end)
  t.it("that leads nowhere ends the connections", function()
    local tunnel <close> = env:tunnel { to = 1 }
    t.raises("connect", function() through(tunnel.port, { connect_timeout = "1s" }):run "true" end)
    t.ok(tunnel.open)
  end)
  t.it("to a host that is not there is none", function()
    t.raises("connect", function() ssh.env({ port = 1 }):tunnel { to = 22 } end)
    t.raises("connect", function() ssh.env({ port = 1 }):tunnel { to = 22, reverse = true } end)
  end)
  t.it("from here to there outlives lost connections, one from there to here does not", function()
    local server = ssh.server()
    local here <close> = server.env():tunnel { to = ssh.port }
    local there <close> = server.env():tunnel { to = ssh.port, reverse = true }
    t.ok(through(here.port):run("true").ok)
    t.ok(through(there.port):run("true").ok)
    server.control "cut"
    ssh.eventually(function() return not there.open end, 5, "the end is noticed")
    t.raises("connect", function() through(there.port, { connect_timeout = "1s" }):run "true" end)
    t.ok(here.open)
    t.ok(through(here.port, { connect_timeout = "6s" }):run("true").ok)
  end)
  t.it("that the server does not allow is refused", function()
    local env_ = ssh.server({ SSHD_OPTIONS = "AllowTcpForwarding no" }).env()
    local e = t.raises("permission", function() env_:tunnel { from = 0, to = ssh.port, reverse = true } end)
    t.has(e.message, "127.0.0.1")
    local here <close> = env_:tunnel { to = ssh.port }
    t.raises("connect", function() through(here.port, { connect_timeout = "1s" }):run "true" end)
  end)
  t.it("on a port that is taken is refused", function()
    local first <close> = env:tunnel { to = ssh.port }
    t.raises("io", function() env:tunnel { from = first.port, to = ssh.port } end)
    t.raises("permission", function() env:tunnel { from = first.port, to = ssh.port, reverse = true } end)
  end)
  t.it("that makes no sense is invalid", function()
    local bad = { {}, { to = 0 }, { to = "web" }, { to = "web:x" }, { to = 70000 }, { to = 22, form = 1 } }
    for _, options in ipairs(bad) do
      t.raises("invalid", function() env:tunnel(options) end)
    end
    t.raises("invalid", function() env:tunnel { from = "no address:0", to = 22 } end)
    t.raises("unsupported", function() tutti.here:tunnel { to = 22 } end)
  end)
end)
t.done()
