// Package containerdtest starts a containerd of its own with mullion as its plugin,
// for tests and benchmarks.
//
// containerd and ctr are built from their module once, into a folder of the user's
// cache. A [Rig] runs them on private directories and sockets, beside a mullion serve
// that is a process too, so that both can be stopped, killed and started again:
//
//	func TestMain(m *testing.M) { containerdtest.Main(m, mullion) }
//
//	r := containerdtest.Start(t)
//	r.Ctr(t, "images", "import", …)
//
// The tests of this package are those of the plugin with the real containerd.
package containerdtest
