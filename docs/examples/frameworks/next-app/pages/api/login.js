// #region login
import { getIronSession } from 'iron-session';
import { sessionOptions } from '../../session';

/**
 * @param {import('next').NextApiRequest} request
 * @param {import('next').NextApiResponse} response
 */
export default async function login(request, response) {
  /** @type {import('iron-session').IronSession<import('../../session').Session>} */
  const session = await getIronSession(request, response, sessionOptions);
  session.user = String(request.body.user);
  await session.save();
  response.json({ user: session.user });
}
// #endregion login
