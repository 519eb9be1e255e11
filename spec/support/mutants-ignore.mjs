/**
 * A plugin of Stryker: leaves out mutants that change nothing but the sentence of an error. What an error is told by is its
 * class and its code, and these are mutated.
 */
export const strykerPlugins = [{ kind: 'Ignore', name: 'sentences', value: { shouldIgnore } }];

function shouldIgnore(path) {
  dropAssertion(path);
  if (!isSentence(path)) return undefined;
  const construction = path.findParent((parent) => parent.isNewExpression());
  const name = construction?.node.callee.name ?? '';
  return name.endsWith('Error') ? 'the sentence of an error' : undefined;
}

function isSentence(path) {
  if (path.isStringLiteral()) return path.node.value.includes(' ');
  return path.isTemplateLiteral();
}

/** `--counts[i]!` becomes `--counts[i]` before it is mutated: Stryker 10.0 fails at the first. */
function dropAssertion(path) {
  if (path.isUpdateExpression() && path.node.argument.type === 'TSNonNullExpression') {
    path.node.argument = path.node.argument.expression;
  }
}
