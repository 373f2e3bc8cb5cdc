package guide

// methodCards are about methods and bodies that redirects lose.
var methodCards []Card
