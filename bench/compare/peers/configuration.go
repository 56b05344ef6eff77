package peers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// write writes a peer's file and returns its path.
func (w World) write(name, text string) (string, error) {
	path := filepath.Join(w.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// each returns the text with the number and the address of each upstream in the place of %[1]d and %[2]s.
func (w World) each(format string) string {
	var b strings.Builder
	for i, addr := range w.Upstreams {
		fmt.Fprintf(&b, format, i, addr)
	}
	return b.String()
}

// urls returns the upstreams as URLs.
func (w World) urls() (urls []string) {
	for _, addr := range w.Upstreams {
		urls = append(urls, "http://"+addr)
	}
	return urls
}

// tether runs as it ships: nothing but addresses, and the certificate, is configured.
func tether(binary string, w World) ([]string, error) {
	text := fmt.Sprintf("listen: %q\nadmin: { listen: %q }\n", w.Addr, w.Admin)
	if w.Cert != "" {
		text += fmt.Sprintf("tls: { cert: %q, key: %q }\n", w.Cert, w.Key)
	}
	file, err := w.write("tether.yaml", text+"upstreams:\n"+w.each("  - { url: \"http://%[2]s\", name: \"up-%[1]d\" }\n"))
	return []string{binary, "run", "-c", file}, err
}

// haproxy hashes the session header consistently, sends small packets at once, reuses connections, and checks its servers.
func haproxy(binary string, w World) ([]string, error) {
	bind := w.Addr
	if w.Cert != "" {
		pem, err := joined(w.Cert, w.Key)
		if err != nil {
			return nil, err
		}
		file, err := w.write("haproxy.pem", pem)
		if err != nil {
			return nil, err
		}
		bind += " ssl crt " + file
	}
	file, err := w.write("haproxy.cfg", fmt.Sprintf(`global
    nbthread 2
    maxconn %d
defaults
    mode http
    option http-no-delay
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    timeout http-request 1h
frontend bench
    bind %s
    default_backend upstreams
backend upstreams
    balance hdr(X-Session-Id)
    hash-type consistent
    option httpchk GET /health
    default-server check
%s`, w.Connections, bind, w.each("    server up-%[1]d %[2]s\n")))
	return []string{binary, "-f", file, "-db"}, err
}

// nginx hashes the session header consistently, keeps connections, and does not buffer.
func nginx(binary string, w World) ([]string, error) {
	listen := w.Addr
	if w.Cert != "" {
		listen += fmt.Sprintf(" ssl;\n        ssl_certificate %s;\n        ssl_certificate_key %s", w.Cert, w.Key)
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	file, err := w.write("nginx.conf", fmt.Sprintf(`%[1]s
worker_processes 2;
daemon off;
pid %[2]s/nginx.pid;
error_log stderr;
events { worker_connections %[3]d; }
http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    client_body_buffer_size 512k;
    client_max_body_size 64m;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    upstream servers {
        hash $http_x_session_id consistent;
%[4]s        keepalive 1024;
        keepalive_requests 1000000000;
    }
    server {
        listen %[5]s;
        tcp_nodelay on;
        location / {
            proxy_pass http://servers;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 1h;
        }
    }
}
`, user, w.Dir, 2*w.Connections+1024, w.each("        server %[2]s;\n"), listen))
	return []string{binary, "-c", file, "-p", w.Dir, "-e", "stderr"}, err
}

// vllmRouter hashes X-Session-Id consistently, which its policy of that name does.
func vllmRouter(binary string, w World) ([]string, error) {
	return w.router([]string{binary, "--policy", "consistent_hash", "--log-level", "warning"})
}

// smg hashes X-Session-Id consistently.
func smg(binary string, w World) ([]string, error) {
	return w.router([]string{
		binary, "launch", "--policy", "consistent_hashing", "--routing-key-override", "--routing-key-headers", "x-session-id", "--log-level", "warn",
	})
}

// router adds the addresses to the command line of vllm-router or smg, which have a common ancestor.
func (w World) router(args []string) ([]string, error) {
	host, port, err := net.SplitHostPort(w.Addr)
	if err != nil {
		return nil, err
	}
	_, metrics, err := net.SplitHostPort(w.Admin)
	args = append(args, "--host", host, "--port", port, "--prometheus-host", host, "--prometheus-port", metrics, "--worker-urls")
	return append(args, w.urls()...), err
}

// olla pins the sessions of X-Olla-Session-ID.
func olla(binary string, w World) ([]string, error) {
	host, port, err := net.SplitHostPort(w.Addr)
	if err != nil {
		return nil, err
	}
	file, err := w.write("olla.yaml", fmt.Sprintf(`server:
  host: %q
  port: %s
  request_logging: false
  rate_limits: { global_requests_per_minute: 0, per_ip_requests_per_minute: 0, health_requests_per_minute: 0 }
proxy:
  engine: olla
  load_balancer: least-connections
  sticky_sessions: { enabled: true, max_sessions: 100000, key_sources: [session_header] }
discovery:
  type: static
  static:
    endpoints:
%slogging: { level: error }
`, host, port, w.each("      - { url: \"http://%[2]s\", name: up-%[1]d, type: vllm, priority: 100, model_url: /v1/models, health_check_url: /health }\n")))
	return []string{binary, "--config", file}, err
}

// joined returns the contents of two files, one after the other.
func joined(a, b string) (string, error) {
	first, err := os.ReadFile(a)
	if err != nil {
		return "", err
	}
	second, err := os.ReadFile(b)
	return string(first) + string(second), err
}
