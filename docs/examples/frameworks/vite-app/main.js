document.body.append('from Vite');
