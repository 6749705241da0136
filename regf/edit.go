package regf

type editor struct{}
