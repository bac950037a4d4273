// One walk over a function body: decodes, validates and feeds typed events to a consumer. Validation alone, the
// interpreter's translation and the compilers are consumers of this one template.
