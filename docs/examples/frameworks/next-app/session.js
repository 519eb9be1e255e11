// #region session
/** @typedef {{ user?: string }} Session */

/** @satisfies {import('iron-session').SessionOptions} */
export const sessionOptions = {
  cookieName: 'session',
  password: 'change this, it needs 32 characters',
  cookieOptions: { secure: process.env.NODE_ENV === 'production' },
};
// #endregion session
