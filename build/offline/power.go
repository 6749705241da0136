package offline

type power struct{}
type cmdletCall struct{}
type value struct{}
type param struct{}

func powerTable() []row { return nil }
func powerProgram(s *session, name, rest text) (int, error) {
	return 0, notOffline(name, "")
}
