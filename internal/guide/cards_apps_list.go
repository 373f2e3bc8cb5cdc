package guide

// appCards are the cards of frameworks and products.
var appCards []Card
