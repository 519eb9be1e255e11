export default function Index() {
  return 'from Next';
}
