package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mullion/mullion/internal/testenv"
)

// basicAuth is a registry that asks every request for a name and a password.
func basicAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "robot" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tokenAuth is a registry that sends clients to a token service, here on its own host.
func tokenAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			if user, password, _ := r.BasicAuth(); user != "robot" || password != "secret" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, `{"token":"abc"}`)
		case r.Header.Get("Authorization") != "Bearer abc":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownCredentials keeps the credentials of whoever runs the test out of it.
func ownCredentials(t *testing.T) {
	t.Helper()
	for _, name := range []string{"HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, t.TempDir())
	}
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("DOCKER_AUTH_CONFIG", "")
}

func runWith(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = Main(args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// Credentials are stored after the registry has accepted them, are used, and are removed.
func TestLogin(t *testing.T) {
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	for what, guard := range map[string]func(http.Handler) http.Handler{"basic": basicAuth, "token": tokenAuth} {
		t.Run(what, func(t *testing.T) {
			ownCredentials(t)
			host, _ := countedRegistry(t, guard)
			file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
			if err := os.WriteFile(file, []byte(`{"auths":{"other.example":{"auth":"YTpi"}},"HttpHeaders":{"A":"b"}}`), 0o640); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(file)
			status, _, errs := runWith("wrong\n", "login", host, "-u", "robot", "--password-stdin")
			if now, _ := os.ReadFile(file); status != 2 || !strings.Contains(errs, "does not accept the credentials") || !bytes.Equal(now, before) {
				t.Errorf("wrong password: status %d, %s", status, errs)
			}
			if status, _, _ := run1("copy", hello, host+"/hello:v1"); status != 2 {
				t.Errorf("copy without credentials: status %d", status)
			}
			status, out, errs := runWith("secret\n", "login", host, "-u", "robot", "--password-stdin")
			if status != 0 || out != "logged in to "+host+" as robot\n" || !strings.Contains(errs, "unencrypted") || strings.Contains(errs, "secret") {
				t.Fatalf("status %d, %s%s", status, out, errs)
			}
			var stored struct {
				Auths       map[string]map[string]string
				HTTPHeaders map[string]string `json:"HttpHeaders"`
			}
			b, _ := os.ReadFile(file)
			if err := json.Unmarshal(b, &stored); err != nil || stored.Auths[host]["auth"] != "cm9ib3Q6c2VjcmV0" || stored.Auths["other.example"]["auth"] != "YTpi" || stored.HTTPHeaders["A"] != "b" {
				t.Errorf("stored %s, %v", b, err)
			}
			if st, err := os.Stat(file); runtime.GOOS != "windows" && (err != nil || st.Mode().Perm() != 0o640) {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
			for _, args := range [][]string{
				{"copy", hello, host + "/hello:v1"}, {"copy", hello, host + "/hello:v2"}, {"inspect", host + "/hello:v1"},
			} {
				if status, _, errs := run1(args...); status != 0 {
					t.Errorf("%v: %s", args, errs)
				}
			}
			if status, out, errs := run1("tags", host+"/hello"); status != 0 || out != "v1\nv2\n" {
				t.Errorf("tags: status %d, %q, %s", status, out, errs)
			}
			if status, out, errs := run1("logout", host); status != 0 || out != "logged out of "+host+"\n" || errs != "" {
				t.Errorf("logout: status %d, %s%s", status, out, errs)
			}
			if status, _, _ := run1("tags", host+"/hello"); status != 2 {
				t.Errorf("tags after logout: status %d", status)
			}
			if status, out, errs := run1("logout", host); status != 0 || out != "" || !strings.Contains(errs, "no credentials") {
				t.Errorf("second logout: status %d, %s%s", status, out, errs)
			}
			if b, _ := os.ReadFile(file); bytes.Contains(b, []byte(host)) || !bytes.Contains(b, []byte("other.example")) {
				t.Errorf("left %s", b)
			}
		})
	}
}

// A new file is private. A registry that asks for nothing accepts everything, which is
// said.
func TestLoginNewFile(t *testing.T) {
	ownCredentials(t)
	host, _ := countedRegistry(t, nil)
	status, out, errs := runWith("secret", "login", "--json", host, "-u", "robot", "--password-stdin")
	file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	var done loggedIn
	if err := json.Unmarshal([]byte(out), &done); status != 0 || err != nil || done != (loggedIn{Registry: host, User: "robot", File: file}) {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	if !strings.Contains(errs, "asks for no credentials") {
		t.Error(errs)
	}
	if st, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

// Where podman's file alone exists, the registry client reads it, and a new file of docker
// would hide it.
func TestLoginPodman(t *testing.T) {
	ownCredentials(t)
	host, _ := countedRegistry(t, basicAuth)
	file := filepath.Join(t.TempDir(), "auth.json")
	t.Setenv("REGISTRY_AUTH_FILE", file)
	if err := os.WriteFile(file, []byte(`{"auths":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := runWith("secret", "login", host, "-u", "robot", "--password-stdin"); status != 0 {
		t.Fatal(errs)
	}
	if b, _ := os.ReadFile(file); !bytes.Contains(b, []byte(host)) {
		t.Errorf("stored %s", b)
	}
	if left, _ := os.ReadDir(os.Getenv("DOCKER_CONFIG")); len(left) > 0 {
		t.Errorf("docker's directory has %v", left)
	}
	if status, _, errs := run1("tags", host+"/none"); status != 2 || strings.Contains(errs, "UNAUTHORIZED") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// A credential helper keeps the password, and the file does not have it.
func TestLoginHelper(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	ownCredentials(t)
	host, _ := countedRegistry(t, basicAuth)
	bin := t.TempDir()
	kept := filepath.Join(bin, "kept")
	script := fmt.Sprintf(`#!/bin/sh
case $1 in
store) cat > %[1]s ;;
get) if [ -f %[1]s ]; then cat %[1]s; else echo 'credentials not found in native keychain'; exit 1; fi ;;
erase) rm -f %[1]s ;;
esac
`, kept)
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	if err := os.WriteFile(file, []byte(`{"credsStore":"test"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := runWith("secret", "login", "--json", host, "-u", "robot", "--password-stdin")
	if status != 0 || !strings.Contains(out, `"helper": "test"`) || errs != "" {
		t.Fatalf("status %d, %s%s", status, out, errs)
	}
	if b, _ := os.ReadFile(kept); !bytes.Contains(b, []byte("secret")) {
		t.Errorf("the helper has %s", b)
	}
	if b, _ := os.ReadFile(file); bytes.Contains(b, []byte("secret")) || bytes.Contains(b, []byte("cm9ib3Q6c2VjcmV0")) {
		t.Errorf("the file has %s", b)
	}
	if status, _, errs := run1("tags", host+"/none"); status != 2 || strings.Contains(errs, "UNAUTHORIZED") {
		t.Errorf("status %d, %s", status, errs)
	}
	if status, _, errs := run1("logout", host); status != 0 || errs != "" {
		t.Errorf("status %d, %s", status, errs)
	}
	if _, err := os.Stat(kept); err == nil {
		t.Error("the helper still has the password")
	}
	if err := os.WriteFile(file, []byte(`{"credsStore":"absent"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := runWith("secret", "login", host, "-u", "robot", "--password-stdin"); status != 2 || !strings.Contains(errs, "docker-credential-absent") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// A registry sends tags in pages, each with the address of the next.
func TestTagsPaged(t *testing.T) {
	ownCredentials(t)
	host, _ := countedRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/app/tags/list" {
				next.ServeHTTP(w, r)
				return
			}
			switch r.URL.Query().Get("last") {
			case "":
				w.Header().Set("Link", `</v2/app/tags/list?last=b>; rel="next"`)
				fmt.Fprint(w, `{"name":"app","tags":["a","b"]}`)
			case "b":
				fmt.Fprint(w, `{"name":"app","tags":["c\u001b[2J"]}`)
			}
		})
	})
	if status, out, errs := run1("tags", "docker://"+host+"/app"); status != 0 || out != "a\nb\nc\\u001b[2J\n" {
		t.Errorf("status %d, %q, %s", status, out, errs)
	}
	if status, out, errs := run1("tags", "--json", host+"/app"); status != 0 || !strings.HasPrefix(out, "{\"tag\":\"a\"}\n{\"tag\":\"b\"}\n{\"tag\":\"c") {
		t.Errorf("status %d, %q, %s", status, out, errs)
	}
	if status, _, errs := run1("tags", host+"/none"); status != 2 || !strings.Contains(errs, "mullion: tags ") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// The error of a request to the registry that a copy goes to names that registry.
func TestCopyToNoRegistry(t *testing.T) {
	ownCredentials(t)
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	gone := strings.TrimPrefix(server.URL, "http://")
	host, _ := countedRegistry(t, nil)
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	if status, _, errs := run1("copy", hello, host+"/hello:v1"); status != 0 {
		t.Fatal(errs)
	}
	for _, c := range [][3]string{
		{hello, gone + "/app:v1", gone + "/app:v1"},
		{host + "/hello:v1", "docker://" + gone + "/app:v1", "docker://" + gone + "/app:v1"},
		{"docker://" + gone + "/app:v1", host + "/hello:v2", "docker://" + gone + "/app:v1"},
		{host + "/none:v1", host + "/hello:v2", host + "/none:v1"},
	} {
		if status, _, errs := run1("copy", c[0], c[1]); status != 2 || !strings.HasPrefix(errs, "mullion: copy "+c[2]+": ") {
			t.Errorf("copy %s %s: status %d, %s", c[0], c[1], status, errs)
		}
	}
}

// manifest and config print what the registry has, byte for byte.
func TestRawDocuments(t *testing.T) {
	ownCredentials(t)
	host, _ := countedRegistry(t, nil)
	hello := "oci-archive:" + filepath.Join(testenv.Root(t), "examples", "hello", "hello.tar")
	if status, _, errs := run1("copy", hello, host+"/hello:v1"); status != 0 {
		t.Fatal(errs)
	}
	for _, args := range [][]string{{"manifest"}, {"config"}, {"manifest", "--platform", "windows/amd64"}} {
		_, remote, _ := run1(append(args, host+"/hello:v1")...)
		status, local, errs := run1(append(args, hello)...)
		if status != 0 || remote != local || !json.Valid([]byte(local)) {
			t.Errorf("%v: status %d, %q, %q, %s", args, status, remote, local, errs)
		}
	}
	resp, err := http.Get("http://" + host + "/v2/hello/manifests/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(resp.Body)
	if _, out, _ := run1("manifest", host+"/hello:v1"); out != b.String() {
		t.Errorf("printed %q, the registry has %q", out, b.String())
	}
}
